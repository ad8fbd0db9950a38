"""The engine daemon and its client: msgpack frames over a private socket."""
