"""Functions of the losses of times to an event, some of them censored."""
