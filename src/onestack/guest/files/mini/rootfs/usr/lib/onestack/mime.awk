# Splits a MIME multipart message into files: awk -v home=DIRECTORY -f mime.awk. Part N becomes DIRECTORY/N, its type
# DIRECTORY/N.type, its transfer encoding DIRECTORY/N.encoding. Nested multiparts are not entered.
BEGIN { part = -1; header = 1 }
{ sub(/\r$/, "") }
boundary == "" && tolower($0) ~ /boundary=/ {
  boundary = $0
  sub(/.*[Bb][Oo][Uu][Nn][Dd][Aa][Rr][Yy]=/, "", boundary)
  sub(/^"/, "", boundary)
  sub(/[";].*$/, "", boundary)
  next
}
boundary != "" && index($0, "--" boundary) == 1 {
  part = $0 == "--" boundary "--" ? -1 : ++count - 1
  header = 1
  next
}
part < 0 { next }
header && $0 == "" { header = 0; next }
header {
  line = tolower($0)
  if (line ~ /^content-type:/) { sub(/^content-type:[ ]*/, "", line); sub(/[; ].*/, "", line); print line >(home "/" part ".type") }
  if (line ~ /^content-transfer-encoding:/) { sub(/^[^:]*:[ ]*/, "", line); print line >(home "/" part ".encoding") }
  next
}
{ print >(home "/" part) }
