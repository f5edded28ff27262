"""Everything on one machine: servers, API and workers as children of one process, kept running and stopped in order.

folder      what lies in the data folder, and who holds it
records     credentials.json and runtime.json
parent      ends a process with the one that started it
child       one process of ours, started anew when it dies
servers     Postgres and Valkey, embedded or given
bootstrap   schema, logins, embedding model, first identity
supervisor  the order of it all
"""
