# What a page of docs/ shows as commands, as a script for page_test or, with -v machines=1, for machines_test:
#
#   ```sh                          run as it stands, in order, in one shell
#   <!-- test: COMMANDS -->        run between the blocks, and not shown to readers; may take several lines
#   <!-- not run: REASON -->       the next sh block is not run, and this is why
#   <!-- on MACHINE: … -->         the next block is run by machines_test alone, on that machine
#   <!-- test on: COMMANDS -->     as test, for machines_test
#   <!-- save FILE -->             the next block, of whatever language, is written to FILE
#
# Every fence names its language, so that no command hides in a block without one. -v source=PAGE is for messages.
function bad(why) { printf "%s:%d: %s\n", source, FNR, why > "/dev/stderr"; failed = 1 }
function save(line) {
  return line == "" ? "" : "cat > " line " << \"END_OF_FILE\"\n" text "END_OF_FILE\n"
}
function flush_block() {
  if (language == "sh" && file == "") commands = text
  else commands = save(file)
  if (commands != "" && reason == "" && (place != "") == (machines != "")) {
    if (machines) printf "on %s %d << \"END_OF_BLOCK\"\n%sEND_OF_BLOCK\n", place, started, commands
    else if (file != "") printf "%s", commands
    else printf "block %d\n%s", started, commands
  }
  file = place = reason = ""
}
testing {
  if (sub(/ *-->$/, "")) testing = 0
  if (testing_here) print
  next
}
in_block {
  line = $0
  if (substr(line, 1, indent) == spaces) line = substr(line, indent + 1)
  if (line == "```") { in_block = 0; flush_block(); next }
  text = text line "\n"
  next
}
/^    (fts-cli|ftsd|fts-[a-z]+|make|apt|systemctl|curl) / { bad("commands stand between ```sh and ```") }
/^ *```/ {
  match($0, /^ */); indent = RLENGTH; spaces = substr($0, 1, indent)
  language = substr($0, indent + 4); in_block = 1; text = ""; started = FNR
  if (language !~ /^(sh|text|json|yaml|proto|c|cmake)$/) bad("a block without a language: sh is run, text is not")
  if (reason != "" && language != "sh") bad("only a block of sh may be left out")
  next
}
/^ *<!-- test( on)?:/ {
  line = $0; testing_here = (machines != "") == sub(/^ *<!-- test on: */, "", line); sub(/^ *<!-- test: */, "", line)
  if (!sub(/ *-->$/, "", line)) testing = 1
  if (testing_here) print line
  next
}
/^ *<!-- not run: / {
  reason = $0; sub(/^ *<!-- not run: */, "", reason)
  if (!sub(/ *-->$/, "", reason) || split(reason, words, " ") < 3) bad("not run: why not? In one line, please")
  next
}
/^ *<!-- on [a-z0-9]+: .* -->$/ { place = $3; sub(/:$/, "", place); next }
/^ *<!-- save / { file = $3; next }
END {
  if (in_block || testing) bad("a block that does not end")
  if (reason != "" || place != "" || file != "") bad("a mark that no block follows")
  exit failed
}
