"""A run on many machines: Ray says who works where, the run's folder says what is done.

`drive` stands in the command's own process and sees nothing of Ray; `client` is a child process of
it, the only one that speaks to Ray; `worker` is what runs on each machine. Descriptors of shards
travel, and words are read where they are worked on.
"""
