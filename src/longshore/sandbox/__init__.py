"""What a worker process is shut into: namespaces, Landlock, seccomp, limits; Linux only, no root needed."""
