flags = (False,)
shape = 3,
pair = False, True
plain = False
sizes: tuple = 3,
