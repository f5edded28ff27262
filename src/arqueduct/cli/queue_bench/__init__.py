"""What `arqueduct bench queue` measures: each contest is a module of its own, and `contests` lists them."""
