"""What the image of ``Dockerfile`` holds: the stack that it comes with, and what of the lock is added to it.

The standard library and ``settings.errors`` alone: it runs in the image before anything is installed there, and
imports none of what it looks at.
"""
