"""A plain PyTorch loop: frozen prefix, last stage trained, fp32, the whole forward pass each step.

Run by benchmarks/cached_tail.py. Arguments: DATA (a folder of class folders), NETWORK, STEPS. Prints one JSON
line.
"""

import json
import sys
import time

import timm
import torch
from torchvision import datasets, transforms

torch.manual_seed(0)
images = datasets.ImageFolder(
    sys.argv[1],
    transforms.Compose([transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]),
)
loader = torch.utils.data.DataLoader(images, batch_size=32, shuffle=True, num_workers=2, drop_last=True)
model = timm.create_model(sys.argv[2], num_classes=len(images.classes))
for name, parameter in model.named_parameters():
    parameter.requires_grad = name.startswith(("layer4", "fc"))
optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=1e-4)
times = []
model.train()
started = time.perf_counter()
for step, (batch, labels) in enumerate(loader):
    loss = torch.nn.functional.cross_entropy(model(batch), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    now = time.perf_counter()
    times.append(now - started)
    started = now
    if step == int(sys.argv[3]):
        break
rest = sorted(times[1:])  # the first waits for the workers
print(json.dumps({"images_per_s": 32 / rest[len(rest) // 2], "step_s": times}))
