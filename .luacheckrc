std = "lua54"
max_line_length = 100
-- A method need not use its object.
self = false
exclude_files = {"build", "build-*", "debian", "obj-*"}
files["spec"].std = "+busted"
files[".luacheckrc"].std = "+luacheckrc"
