"""How a study trains: networks of tables many at a time, own models one after another."""
