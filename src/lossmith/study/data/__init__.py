"""The data of a study: tables and datasets, the problem they pose, features and folds."""
