--- Temporary folders for apps that a spec gives as strings.
local uv = require "luv"

local files = {}

local function parent(path)
  return path:match("^(.*)/[^/]*$")
end

--- Creates the folder and those above it.
function files.mkdir(path)
  if path == "" or uv.fs_stat(path) then return end
  files.mkdir(parent(path) or "")
  assert(uv.fs_mkdir(path, tonumber("755", 8)))
end

--- A fresh folder; the caller removes it.
function files.temporary()
  return assert(uv.fs_mkdtemp((os.getenv("TMPDIR") or "/tmp") .. "/tidewire-spec-" .. ("X"):rep(6)))
end

local function put(path, text)
  files.mkdir(parent(path))
  local file = assert(io.open(path, "wb"))
  assert(file:write(text))
  assert(file:close())
end

--- Writes the file in place, as `echo > file` does.
function files.write(path, text)
  put(path, text)
end

--- Writes a new file and renames it over the old one, as many editors do.
function files.write_by_rename(path, text)
  local fresh = path .. ".new~"
  put(fresh, text)
  assert(uv.fs_rename(fresh, path))
end

function files.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

function files.exists(path)
  return uv.fs_lstat(path) ~= nil
end

function files.symlink(target, path)
  files.mkdir(parent(path))
  assert(uv.fs_symlink(target, path))
end

--- Removes a file, a link or a folder with all in it.
function files.remove(path)
  local stat = uv.fs_lstat(path)
  if not stat then return end
  if stat.type ~= "directory" then
    assert(uv.fs_unlink(path))
    return
  end
  local scan = assert(uv.fs_scandir(path))
  for name in function() return uv.fs_scandir_next(scan) end do
    files.remove(path .. "/" .. name)
  end
  assert(uv.fs_rmdir(path))
end

return files
