"""What work on other processes is: a task as data, its shards, and who carries them out."""
