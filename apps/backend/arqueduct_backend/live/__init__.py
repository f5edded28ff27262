"""Live updates: what changes reaches every screen, whatever is lost on the way.

subscriber   one pub/sub connection, through any loss of Redis
bridge       who is connected; passes on what is heard, and reads again what may have been missed
audience     the clients of one user in one tenant
client       one connection: its slot, its answers, its end
slot         what a client still has to hear (pure)
snapshots    what a client hears first
gate         how many there may be
handshake    who it is: ticket, subprotocol, header or first message
websocket, event_stream   the two transports
"""
