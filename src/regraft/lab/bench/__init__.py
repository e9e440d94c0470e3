"""What small experiments share: labelled sets in memory, small networks, trainings by the engine."""
