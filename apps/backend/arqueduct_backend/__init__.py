"""The HTTP side of Arqueduct: a thin API that writes jobs, answers at once, and relays what workers say."""
