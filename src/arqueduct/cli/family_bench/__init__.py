"""What `arqueduct bench projects` measures: a project and a batch of thousands, from the making to the last child."""
