std = "luajit"
read_globals = { "vim" }
globals = { "vim.g", "vim.go", "vim.bo" }
max_line_length = 120
