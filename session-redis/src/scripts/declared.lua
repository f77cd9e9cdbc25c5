-- Servers and proxies that place keys by themselves must know all that a script touches: it touches
-- none that is not among KEYS. An index that must be there is named by the error, and the call
-- comes again with it.
local declared
local function undeclared(idx)
  if not declared then
    declared = {}
    for at = 1, #KEYS do declared[KEYS[at]] = true end
  end
  return not declared[idx]
end
