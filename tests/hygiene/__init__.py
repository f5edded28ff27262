"""What `make audit` asks of the repository: no secrets in its files, no known holes in what it depends on."""
