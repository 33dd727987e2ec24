"""The study: which loss serves this data, this model and this metric best."""
