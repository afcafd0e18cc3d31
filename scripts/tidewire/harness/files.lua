--- Folders of apps that a spec gives as strings; removed by its teardown.
local uv = require "luv"

local files = { folders = {} }

-- Where folders are made: in memory if there is a file system there, for these files are small,
-- many and soon gone.
local function temporary()
  return os.getenv "TMPDIR" or uv.fs_access("/dev/shm", "W") and "/dev/shm" or "/tmp"
end

local function parent(path)
  return path:match("^(.*)/[^/]*$") or "."
end

local function mkdir(path)
  if path == "" or uv.fs_stat(path) then return end
  mkdir(parent(path))
  assert(uv.fs_mkdir(path, tonumber("755", 8)))
end

local function entries(folder)
  local scan = assert(uv.fs_scandir(folder))
  return function() return uv.fs_scandir_next(scan) end
end

--- Removes a file, a link or a folder with all in it.
local function remove(path)
  local stat = uv.fs_lstat(path)
  if not stat then return end
  if stat.type ~= "directory" then
    assert(uv.fs_unlink(path))
    return
  end
  for name in entries(path) do remove(path .. "/" .. name) end
  assert(uv.fs_rmdir(path))
end

local function copy(from, to)
  if uv.fs_stat(from).type ~= "directory" then
    assert(uv.fs_copyfile(from, to))
    return
  end
  mkdir(to)
  for name in entries(from) do copy(from .. "/" .. name, to .. "/" .. name) end
end

--- Writes a file below the folder; text false removes it.
function files.write(folder, path, text)
  local full = folder .. "/" .. path
  if text == false then
    remove(full)
    return
  end
  mkdir(parent(full))
  local file = assert(io.open(full, "wb"))
  assert(file:write(text))
  assert(file:close())
end

--- A fresh folder with these files (path -> text; false: without it), on top of a copy of the app
-- `base` if one is named. Unless it is a single-file app (`entry`), a broker.lua that sets nothing
-- is added if there is none.
function files.app(texts, entry, base)
  local folder = assert(uv.fs_mkdtemp(temporary() .. "/tidewire-spec-XXXXXX"))
  table.insert(files.folders, folder)
  if base then copy(base, folder) end
  for path, text in pairs(texts) do files.write(folder, path, text) end
  if not entry and not uv.fs_stat(folder .. "/broker.lua") then
    files.write(folder, "broker.lua", "return {}\n")
  end
  return folder
end

--- What a broker with these options (app, files, entry) is to run: the path, and the folder in
-- which the spec may write (nil: the app is not the spec's own).
function files.scene(options)
  if not options.files then return options.app or os.getenv("TIDEWIRE_APP") or "." end
  local folder = files.app(options.files, options.entry, options.app)
  return options.entry and folder .. "/" .. options.entry or folder, folder
end

--- Removes all that app made.
function files.remove()
  for _, folder in ipairs(files.folders) do remove(folder) end
  files.folders = {}
end

return files
