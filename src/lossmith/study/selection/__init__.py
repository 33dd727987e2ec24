"""`select`: studies that train and deliver, of tables and of a user's own model."""
