"""R-CNN, Fast R-CNN and Faster R-CNN, with heads in closed form."""
