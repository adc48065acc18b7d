# Turns JSON, or the block YAML that people write as #cloud-config, into lines "path<TAB>value".
#
# Paths are keys and list positions joined by dots (write_files.0.path). In values, backslash, tab and line end are
# \\, \t and \n. Understood: mappings, lists, plain and quoted scalars on one line, flow lists and mappings (also
# over several lines), literal (|) and folded (>) blocks with - and +, comments. Not: anchors, tags, complex keys.

BEGIN { depth = 0; indent[0] = -1; kind[0] = "top"; pending = "" }

{ sub(/\r$/, "") }
flow != "" { flow = flow "\n" $0; if (closed(flow)) finish_flow(); next }
block && in_block() { next }
/^[ \t]*(#|$)/ || /^(---|\.\.\.)/ { next }
{ node() }
END { if (block) finish_block(); if (flow != "") finish_flow() }

function emit(path, text) {
  gsub(/\\/, "\\\\", text)
  gsub(/\t/, "\\t", text)
  gsub(/\n/, "\\n", text)
  print path "\t" text
}

function join(path, name) { return path == "" ? name : path "." name }

function trim(text) { sub(/^[ \t\n]+/, "", text); sub(/[ \t\n]+$/, "", text); return text }

# One line outside blocks: any number of "- ", then perhaps "key:", then perhaps a value.
function node(    text, column, key) {
  match($0, /^ */)
  column = RLENGTH
  text = substr($0, column + 1)
  if (text ~ /^[\[{]/ && depth == 0) { scalar("", text, -1); return }
  while (text ~ /^-( |$)/) {
    while (indent[depth] > column) depth--
    if (!(indent[depth] == column && kind[depth] == "list")) push("list", column)
    pending = join(base[depth], size[depth]++)
    match(text, /^-[ ]*/)
    if (RLENGTH == length(text)) return
    scope = column
    column += RLENGTH
    text = substr(text, RLENGTH + 1)
    if (text !~ /^-( |$)/ && !has_key(text)) { scalar(pending, text, scope); return }
  }
  if (!has_key(text)) { scalar(pending, text, column - 1); return }
  while (indent[depth] > column || (indent[depth] == column && kind[depth] == "list")) depth--
  if (indent[depth] != column) push("map", column)
  key = substr(text, 1, key_length)
  text = trim(substr(text, key_length + 2))
  if (key ~ /^["']/) key = substr(key, 2, length(key) - 2)
  pending = join(base[depth], key)
  if (text != "" && text !~ /^#/) scalar(pending, text, column)
}

function push(what, column) {
  depth++
  kind[depth] = what; indent[depth] = column; base[depth] = pending; size[depth] = 0
}

function has_key(text) {
  if (!match(text, /^("[^"]*"|'[^']*'|[A-Za-z0-9_.\/-]+):/)) return 0
  key_length = RLENGTH - 1
  return substr(text, key_length + 2, 1) ~ /^[ \t]?$/
}

# A value; `parent` is the column that the lines of a block must be right of.
function scalar(path, text, parent) {
  if (text ~ /^[|>][-+0-9]*[ \t]*(#.*)?$/) {
    block = 1; block_path = path; block_parent = parent; block_indent = -1; block_text = ""
    folded = text ~ /^>/; chomp = text ~ /^[|>][0-9]*-/ ? "-" : text ~ /^[|>][0-9]*\+/ ? "+" : ""
  } else if (text ~ /^[\[{]/) {
    flow = text; flow_path = path
    if (closed(flow)) finish_flow()
  } else if (text ~ /^["']/) {
    source = text; at = 1
    emit(path, quoted())
  } else {
    sub(/[ \t]+#.*$/, "", text)
    emit(path, trim(text))
  }
}

# A line while a block is open: 1 when it belongs to it.
function in_block(    column) {
  if ($0 ~ /^[ \t]*$/) { block_text = block_text substr($0, block_indent + 1) "\n"; return 1 }
  match($0, /^ */)
  column = RLENGTH
  if (column <= block_parent) { finish_block(); return 0 }
  if (block_indent < 0) block_indent = column
  block_text = block_text substr($0, (column < block_indent ? column : block_indent) + 1) "\n"
  return 1
}

function finish_block() {
  block = 0
  if (chomp != "+") { sub(/\n+$/, "", block_text); if (chomp == "" && block_text != "") block_text = block_text "\n" }
  if (folded) block_text = fold(block_text)
  emit(block_path, block_text)
}

function fold(text,    tail) {
  match(text, /\n*$/)
  tail = substr(text, RSTART)
  text = substr(text, 1, RSTART - 1)
  gsub(/\n\n/, "\001", text)
  gsub(/\n/, " ", text)
  gsub(/\001/, "\n", text)
  return text tail
}

# Are all brackets of a flow text closed?
function closed(text,    open, i, c, quote, n) {
  n = length(text)
  for (i = 1; i <= n; i++) {
    c = substr(text, i, 1)
    if (quote != "") {
      if (c == "\\" && quote == "\"") i++
      else if (c == quote) quote = ""
    } else if (c == "\"" || c == "'") quote = c
    else if (c == "[" || c == "{") open++
    else if (c == "]" || c == "}") { if (--open == 0) return 1 }
  }
  return 0
}

function finish_flow() { source = flow; flow = ""; at = 1; flow_value(flow_path) }

function blank() { while (substr(source, at, 1) ~ /^[ \t\n]$/) at++ }

function flow_value(path,    c, i, key) {
  blank()
  c = substr(source, at, 1)
  if (c == "[") {
    at++
    for (i = 0; more("]"); i++) flow_value(join(path, i))
  } else if (c == "{") {
    at++
    while (more("}")) {
      key = word(":")
      blank()
      if (substr(source, at, 1) == ":") { at++; flow_value(join(path, key)) }
    }
  } else emit(path, word(""))
}

# Is there another element before the closing bracket? Steps over the comma or the bracket.
function more(bracket) {
  blank()
  if (substr(source, at, 1) == ",") { at++; blank() }
  if (at > length(source)) return 0
  if (substr(source, at, 1) == bracket) { at++; return 0 }
  return 1
}

function word(stop,    begin, c) {
  blank()
  c = substr(source, at, 1)
  if (c == "\"" || c == "'") return quoted()
  begin = at
  while (at <= length(source)) {
    c = substr(source, at, 1)
    if (c == "," || c == "]" || c == "}" || (stop != "" && c == stop)) break
    at++
  }
  if (at == begin) at++
  return trim(substr(source, begin, at - begin))
}

# The quoted scalar at `at`, which moves behind it. Takes runs of ordinary characters at once: values can be long.
function quoted(    quote, text, rest, c) {
  quote = substr(source, at++, 1)
  while (at <= length(source)) {
    rest = substr(source, at)
    if (quote == "'") match(rest, /^[^']+/)
    else match(rest, /^[^"\\]+/)
    if (RLENGTH > 0) { text = text substr(rest, 1, RLENGTH); at += RLENGTH }
    c = substr(source, at++, 1)
    if (c == "'" && quote == "'" && substr(source, at, 1) == "'") { text = text "'"; at++ }
    else if (c == "\\") text = text escape()
    else break
  }
  return text
}

function escape(    c, code) {
  c = substr(source, at++, 1)
  if (c == "n") return "\n"
  if (c == "t") return "\t"
  if (c == "r") return "\r"
  if (c != "u") return c
  code = hex(substr(source, at, 4))
  at += 4
  if (code >= 55296 && code < 56320 && substr(source, at, 2) == "\\u") {
    code = 65536 + (code - 55296) * 1024 + hex(substr(source, at + 2, 4)) - 56320
    at += 6
  }
  return utf8(code)
}

function hex(text,    i, n) {
  for (i = 1; i <= length(text); i++) n = n * 16 + index("0123456789abcdef", tolower(substr(text, i, 1))) - 1
  return n
}

function utf8(code) {
  if (code < 128) return sprintf("%c", code)
  if (code < 2048) return sprintf("%c%c", 192 + int(code / 64), 128 + code % 64)
  if (code < 65536) return sprintf("%c%c%c", 224 + int(code / 4096), 128 + int(code / 64) % 64, 128 + code % 64)
  return sprintf("%c%c%c%c", 240 + int(code / 262144), 128 + int(code / 4096) % 64, 128 + int(code / 64) % 64, 128 + code % 64)
}
