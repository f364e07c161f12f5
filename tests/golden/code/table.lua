local json = require("cjson")
--[[ for while
end ]]
local function fact(n)
  if n < 2 then return 1 else return n * fact(n - 1) end
end
local M = {}
function M.run(t)
  for i = 1, 10 do
    for k, v in pairs(t) do table.insert(M, v) end
    repeat i = i - 1 until i == 0
  end
  local s = [==[ for end ]] ]==]
  while true do break end
end
M.f = function(x) return M.f(x) end
