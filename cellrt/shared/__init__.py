"""One block of memory that all processes of a line share, and the ways to hand data over in it.

Nothing here ever waits for another process, and every process can be killed at any instruction and
started again: all state is in the shared memory, and each change to it becomes visible by one
store.
"""
