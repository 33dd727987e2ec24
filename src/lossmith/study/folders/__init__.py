"""`select` and `predict` where a folder says it all: a folder a class, or images beside masks."""
