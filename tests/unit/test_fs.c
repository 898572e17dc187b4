/* Files: limits, what is refused, and what a reader finds afterwards. */
#include "base/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tap.h"

static struct arena *arena;

static int read_text(const char *path, size_t max, const char **ret, struct err *e)
{
	struct bytes b;

	*e = (struct err){ 0 };
	if (fs_read(arena, path, max, &b, e) != 0)
		return -1;
	*ret = (const char *)b.p;
	return b.n == strlen(*ret) ? 0 : -1;
}

static void refused(int result, const struct err *e, enum err_code code, const char *part, const char *what)
{
	bool good = result == -1 && e->code == code && strstr(e->msg, part);

	ok(good, "%s", what);
	if (!good)
		printf("#   got: %d, %s: %s\n#  want: %s: %s\n", result, err_name(e->code), e->msg, err_name(code),
		       part);
}

static void test_read(void)
{
	const char *text = NULL;
	struct bytes b;
	struct err e = { 0 };

	ok(fs_write("ten", bytes_of("0123456789"), 0644, false, &e) == 0, "written %s", e.msg);
	ok(read_text("ten", 10, &text, &e) == 0 && strcmp(text, "0123456789") == 0, "read back");
	refused(read_text("ten", 9, &text, &e), &e, ERR_INVALID, "larger than 9 bytes", "a file over the limit");
	refused(read_text("none", 9, &text, &e), &e, ERR_NOT_FOUND, "none: no such file", "a missing file");
	refused(read_text(".", 9, &text, &e), &e, ERR_INVALID, "is a directory", "a directory");
	refused(read_text("ten/x", 9, &text, &e), &e, ERR_IO, "Not a directory", "a file as a folder");
	ok(symlink("ten", "link") == 0 && mkfifo("pipe", 0600) == 0, "a link and a pipe");
	refused(read_text("link", 99, &text, &e), &e, ERR_DENIED, "symbolic link", "a symlink");
	refused(read_text("pipe", 99, &text, &e), &e, ERR_DENIED, "not a regular file", "a pipe does not hang");
	refused(read_text("/dev/zero", 99, &text, &e), &e, ERR_DENIED, "not a regular file", "a device");
	e = (struct err){ 0 };
	ok(fs_read_input(arena, "link", 10, &b, &e) == 0 && bytes_equal(b, bytes_of("0123456789")),
	   "a link the user named %s", e.msg);
	refused(fs_read_input(arena, "/dev/zero", 100000, &b, &e), &e, ERR_INVALID, "larger than 100000 bytes",
		"a file without end");
	ok(fs_read(arena, "/proc/self/status", 1 << 20, &b, &e) == 0 && b.n > 100,
	   "a file that does not tell its size");
	ok(fs_write("empty", (struct bytes){ NULL, 0 }, 0644, false, &e) == 0 &&
	   fs_read(arena, "empty", 0, &b, &e) == 0 && b.n == 0 && b.p[0] == 0,
	   "an empty file is followed by a NUL too");
}

static void test_stdin(void)
{
	struct err e = { 0 };
	struct bytes b;
	int fds[2];
	char path[32];

	if (!ok(pipe(fds) == 0 && write(fds[1], "piped", 5) == 5 && close(fds[1]) == 0 && dup2(fds[0], 0) == 0,
		"a pipe as standard input"))
		return;
	ok(fs_read(arena, "-", 5, &b, &e) == 0 && bytes_equal(b, bytes_of("piped")), "- is standard input");
	if (pipe(fds) == 0 && write(fds[1], "piped", 5) == 5 && close(fds[1]) == 0) {
		snprintf(path, sizeof(path), "/dev/fd/%d", fds[0]);
		ok(fs_read_input(arena, path, 5, &b, &e) == 0 && bytes_equal(b, bytes_of("piped")),
		   "<(command) is read");
		ok(fs_read_found(arena, path, 5, &b, &e) != 0 && e.code == ERR_DENIED, "not when it was only found");
		ok(fs_inputs_again(&e) == 0, "both can be read again:");
		ok(fs_read(arena, "-", 5, &b, &e) == 0 && bytes_equal(b, bytes_of("piped")), "standard input");
		ok(fs_read_input(arena, path, 5, &b, &e) == 0 && bytes_equal(b, bytes_of("piped")), "<(command)");
	}
}

static void test_write(void)
{
	const char *text = NULL;
	struct err e = { 0 };
	struct stat st;
	mode_t old = umask(022);

	ok(fs_write("new", bytes_of("one"), 0600, false, &e) == 0 && stat("new", &st) == 0 &&
	   (st.st_mode & 0777) == 0600, "a private file");
	ok(fs_write("public", bytes_of("one"), 0666, false, &e) == 0 && stat("public", &st) == 0 &&
	   (st.st_mode & 0777) == 0644, "the umask holds");
	umask(old);
	refused(fs_write("new", bytes_of("two"), 0600, false, &e), &e, ERR_EXISTS, "new: already exists",
		"an existing file");
	ok(read_text("new", 99, &text, &e) == 0 && strcmp(text, "one") == 0, "stays as it was");
	ok(fs_write("new", bytes_of("two"), 0600, true, &e) == 0 && read_text("new", 99, &text, &e) == 0 &&
	   strcmp(text, "two") == 0, "is replaced on demand");
	refused(fs_write("link", bytes_of("x"), 0600, true, &e), &e, ERR_DENIED, "symbolic link",
		"a symlink is not replaced");
	ok(read_text("ten", 99, &text, &e) == 0 && strcmp(text, "0123456789") == 0, "nor followed");
	refused(fs_write("no/such/file", bytes_of("x"), 0600, false, &e), &e, ERR_NOT_FOUND, "no/such",
		"a missing folder");
	refused(fs_write("", bytes_of("x"), 0600, false, &e), &e, ERR_INVALID, "not the path", "no name");
	refused(fs_write("dir/", bytes_of("x"), 0600, false, &e), &e, ERR_INVALID, "not the path", "a folder's name");
	refused(fs_write(".", bytes_of("x"), 0600, true, &e), &e, ERR_IO, ".:", "a folder is not replaced");
	refused(fs_write("/dev/full", bytes_of("x"), 0600, true, &e), &e, ERR_IO, "/dev/full: write: No space left",
		"a full device");
	ok(fs_write("/dev/null", bytes_of("x"), 0600, true, &e) == 0 && stat("/dev/null", &st) == 0 &&
	   S_ISCHR(st.st_mode), "/dev/null stays a device");
}

static void test_folders(void)
{
	struct strv names = { 0 };
	struct err e = { 0 };
	char deep[5000];

	ok(fs_mkdirs("a/b//c/", 0755, &e) == 0 && fs_is_dir("a/b/c"), "folders are made %s", e.msg);
	ok(fs_mkdirs("a/b/c", 0755, &e) == 0, "that they exist is fine");
	ok(fs_mkdirs("/", 0755, &e) == 0 && fs_mkdirs(".", 0755, &e) == 0, "so are / and .");
	refused(fs_mkdirs("ten/x", 0755, &e), &e, ERR_EXISTS, "ten: exists and is not a directory",
		"a file in the way");
	refused(fs_mkdirs("", 0755, &e), &e, ERR_INVALID, "not the path", "no name");
	memset(deep, 'x', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = '\0';
	refused(fs_mkdirs(deep, 0755, &e), &e, ERR_INVALID, "xxx...", "a name without end");
	ok(fs_write("a/b/z", bytes_of(""), 0644, false, &e) == 0 &&
	   fs_write("a/b/.hidden", bytes_of(""), 0644, false, &e) == 0, "two files");
	ok(fs_list(arena, "a/b", 3, &names, &e) == 0 && names.n == 3 && names.set, "three names, no temporary file");
	ok(names.n == 3 && !strcmp(names.v[0], ".hidden") && !strcmp(names.v[1], "c") && !strcmp(names.v[2], "z"),
	   "in order");
	refused(fs_list(arena, "a/b", 2, &names, &e), &e, ERR_INVALID, "more than 2 entries", "too many names");
	ok(symlink("a", "dirlink") == 0 && fs_list(arena, "dirlink", 9, &names, &e) == -1,
	   "a linked folder is not listed");
	refused(fs_list(arena, "none", 9, &names, &e), &e, ERR_NOT_FOUND, "none", "a missing folder");
	ok(fs_list(arena, "a/b/c", 0, &names, &e) == 0 && names.n == 0 && names.set, "an empty folder");
	ok(symlink("nowhere", "dangling") == 0 && fs_exists("dangling") && !fs_is_dir("dangling") &&
	   !fs_exists("nowhere"), "a dangling link exists");
	is_str(fs_join(arena, "a", "b"), "a/b", "joined");
	is_str(fs_join(arena, "a/", "b"), "a/b", "with one slash");
	is_str(fs_join(arena, "", "b"), "b", "without a folder");
	is_str(fs_join(arena, NULL, "b"), "b", "without any");
}

int main(void)
{
	char dir[] = "/tmp/lamassu-test-fs-XXXXXX", command[128];
	SCOPED_ARENA *a = arena = arena_new();

	if (!mkdtemp(dir) || chdir(dir) != 0)
		return 1;
	test_read();
	test_stdin();
	test_write();
	test_folders();
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ok(a && chdir("/") == 0 && system(command) == 0, "tidied up");
	return done();
}
