# Writes `count` pages into `directory`, the same ones each time, and their names to standard output. Each begins with its
# own name, so that one page taken for another is noticed; sizes go from 0 bytes (the first page) to about 30 KB.
function random() { return int(rand() * 1e9) }

BEGIN {
  srand(1)
  for (page = 1; page <= count; page++) {
    name = sprintf("%04d.txt", page)
    file = directory "/" name
    lines = page == 1 ? 0 : int(rand() * rand() * 600) + 1
    printf "" > file
    for (line = 1; line <= lines; line++)
      printf "page %s, line %d: %d %d %d %d\n", name, line, random(), random(), random(), random() > file
    close(file)
    print name
  }
}
