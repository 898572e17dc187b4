/* The command line over a small tree of its own: parsing, messages, help, manual, completion, results and exit
 * statuses. */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/internal.h"
#include "tap.h"

struct create_args {
	const char *subject, *for_;
	struct strv tag;
	int reason_code;
	int64_t count;
	struct dur validity;
	bool force;
	const char *id, *parent;
	const char *at;
};
struct many_args {
	struct strv ids;
};
struct thing {
	char *id, *subject, *pin, *metadata, *pem;
	int64_t level, valid_to;
	struct strv tags;
};

static const char *const reasons[] = { "unspecified", "key_compromise", "superseded", NULL };
static struct create_args got;
static struct many_args many;
static struct globals got_globals;
static struct query got_query;
static int64_t got_now;
static const char *got_op, *got_tag;

static const struct field thing_fields[] = {
	STR(thing, id, "Id.", .flags = F_KEY | F_COL),
	STR(thing, subject, "Subject.", .flags = F_COL),
	INT(thing, level, "Level.", .flags = F_COL),
	TIME(thing, valid_to, "End.", .flags = F_COL),
	STRV(thing, tags, "Tags."),
	STR(thing, pin, "Pin.", .flags = F_SECRET),
	ANY(thing, metadata, "Anything."),
	STR(thing, pem, "Certificate.", .flags = F_HIDE),
	END
};
static const struct schema thing_type = {
	.name = "thing", .plural = "things", .doc = "A thing.", .size = sizeof(struct thing), .fields = thing_fields,
};

static struct thing things[] = {
	{ .id = (char[]){ "root" }, .subject = (char[]){ "CN=Acme Root CA,O=Acme Corporation of Somewhere,C=US" },
	  .level = 0, .valid_to = 4102444800, .pin = (char[]){ "env:PIN" },
	  .metadata = (char[]){ "{\"site\":\"north\",\"n\":3}" },
	  .pem = (char[]){ "-----BEGIN" } },
	{ .id = (char[]){ "evil" }, .subject = (char[]){ "CN=a\033[2Jb\nc\xff" }, .level = 12 },
};

static int run_create(struct ctx *ctx, void *v, struct err *e)
{
	got = *(struct create_args *)v;
	got_globals = *cli_globals(ctx);
	got_now = ctx->now;
	got_tag = got.tag.n ? got.tag.v[got.tag.n - 1] : NULL;
	got_op = strcmp(cli_op(ctx), "ca.create") == 0 ? "ca.create" : "another";
	ctx_warn(ctx, "careful with \"%s\"", "\033[2J");
	out_diff(ctx, "+ a\tb\n- \033\n");
	return out_done(ctx, e, "created ca %s", got.id);
}

static int run_list(struct ctx *ctx, void *v, struct err *e)
{
	(void)v;
	got_query = *cli_query(ctx);
	return out_list(ctx, &thing_type, things, COUNT(things), "bm", e);
}

static int run_none(struct ctx *ctx, void *v, struct err *e)
{
	(void)v;
	return out_list(ctx, &thing_type, NULL, 0, NULL, e);
}

static int run_show(struct ctx *ctx, void *v, struct err *e)
{
	(void)v;
	return out_record(ctx, &thing_type, &things[0], e);
}

static int run_delete(struct ctx *ctx, void *v, struct err *e)
{
	many = *(struct many_args *)v;
	return cli_confirm(ctx, e, "delete %zu things", many.ids.n);
}

static int run_fail(struct ctx *ctx, void *v, struct err *e)
{
	const struct secret_ask ask = { "passphrase of engine soft", "TEST_SECRET_SOFT", "TEST_SECRET", false };
	char *secret;

	(void)v;
	if (ctx->secret(ctx, &ask, &secret, e) != 0)
		return -1;
	return err_set(e, ERR_REMOTE, "got \"%s\"", secret);
}

static int run_text(struct ctx *ctx, void *v, struct err *e)
{
	const struct many_args *a = v;

	return out_bytes(ctx, a->ids.n ? a->ids.v[0] : "-", bytes_of("key\n"), true, false, e);
}

static const struct opt create_opts[] = {
	OSTR(create_args, subject, 's', "dn", "Its name. A second sentence.", .flags = O_REQ),
	OSTR(create_args, for_, 0, "who", "For whom: \"quoted\" .and \\ more…"),
	OSTR(create_args, parent, 0, "ca", "Issuer."),
	OSTR(create_args, at, 0, "time", "Another time."),
	OLIST(create_args, tag, 't', "tag", "A tag."),
	OENUM(create_args, reason_code, 0, reasons, "Why."),
	OINT(create_args, count, 'c', "n", "How many."),
	ODUR(create_args, validity, 0, "duration", "How long."),
	OFLAG(create_args, force, 'F', "Do it anyway."),
	OEND
};
static const struct operand id_operand[] = { PARAM(create_args, id, "ca", "The authority."), OEND };
static const struct operand ids_operand[] = { PARAMS(many_args, ids, "ca", "Authorities."), OEND };
static const struct operand file_operand[] = { PARAMS_OPT(many_args, ids, "file", "A file."), OEND };
static const struct cmd create = { .name = "create", .brief = "Make a thing", .doc = "One.\n\nTwo. 'Three'.",
				   .needs = NEED_STATE | NEED_WRITE, .opts = create_opts, .operands = id_operand,
				   .argsize = sizeof(struct create_args), .run = run_create,
				   .example = "tool ca create x -s 'CN=x'\n.dot \\ line\ntool ca create "
					      "a-very-long-name --subject 'CN=A Long Name,O=An Organisation,C=US' "
					      "--for somebody --tag one --tag two" };
static const struct cmd list = { .name = "list", .brief = "List things", .needs = NEED_LIST | NEED_STATE,
				 .run = run_list, .type = &thing_type };
static const struct cmd none = { .name = "none", .brief = "List nothing", .needs = NEED_LIST | NEED_STATE,
				 .run = run_none };
static const struct cmd show = { .name = "show", .brief = "Show a thing", .needs = NEED_STATE, .run = run_show };
static const struct cmd delete = { .name = "delete", .brief = "Delete things", .operands = ids_operand,
				   .run = run_delete, .argsize = sizeof(struct many_args), .needs = NEED_CONFIRM };
static const struct cmd fail = { .name = "fail", .brief = "Fail", .run = run_fail };
static const struct cmd text = { .name = "text", .brief = "Print", .operands = file_operand, .run = run_text,
				 .argsize = sizeof(struct many_args) };
static const struct cmd *const ca_verbs[] = { &create, &list, &none, &show, &delete, &fail, &text, NULL };
static const struct cmd ca = { .name = "ca", .brief = "Authorities", .sub = ca_verbs };
static const struct cmd *const engine_verbs[] = { &list, &show, NULL };
static const struct cmd engine = { .name = "engine", .brief = "Engines", .sub = engine_verbs };
static const struct cmd *const kms_verbs[] = { &engine, NULL };
static const struct cmd kms = { .name = "kms", .brief = "Keys", .sub = kms_verbs };
static const struct cmd help = { .name = "help", .brief = "Help", .operands = file_operand,
				 .argsize = sizeof(struct many_args),
				 .run = run_text };
static const struct cmd hidden = { .name = "__hidden", .brief = "Hidden", .run = run_show };
static const struct cmd *const nouns[] = { &ca, &kms, &help, &hidden, NULL };
static const struct cmd root = { .name = "tool", .brief = "A tool", .sub = nouns };

static void names(struct ctx *ctx, const char *kind, void (*emit)(void *, const char *name, const char *doc), void *arg)
{
	(void)ctx;
	if (strcmp(kind, "ca") == 0) {
		emit(arg, "root", "the root");
		emit(arg, "devices", NULL);
	}
}

static const struct schema *const record_types[] = { &thing_type, NULL };
static const struct record_page records[] = {
	{ .name = "ca", .brief = "record", .doc = "A .dot and a \\ here.", .types = record_types },
	{ .name = "tool.yaml", .brief = "settings", .doc = "Settings.", .example = ".a: 1", .types = record_types },
	{ .name = NULL },
};
static const struct cli cli = { .root = &root, .records = records, .version = "1.2", .date = "November 21, 2026",
				.names = names };

/* --- running --- */

static char out_text[1 << 16], err_text[1 << 14];

static void slurp(int fd, char *text_, size_t cap)
{
	ssize_t n = pread(fd, text_, cap - 1, 0);

	text_[n > 0 ? n : 0] = '\0';
	close(fd);
}

static int run(const char *line, int to)
{
	static char copy[1024]; /* what was parsed points into it */
	char *argv[64] = { copy }, out_name[] = "/tmp/test_cli_out_XXXXXX", err_name_[] = "/tmp/test_cli_err_XXXXXX";
	int argc = 0, out = mkstemp(out_name), err = mkstemp(err_name_), saved_out = dup(1), saved_err = dup(2), rc;

	fflush(stdout);
	unlink(out_name);
	unlink(err_name_);
	snprintf(copy, sizeof(copy), "%s", line);
	for (char *p = strtok(copy, " "); p; p = strtok(NULL, " "))
		argv[argc++] = strcmp(p, "''") == 0 ? p + 2 : p;
	argv[argc] = NULL;
	dup2(to >= 0 ? to : out, 1);
	dup2(err, 2);
	rc = cli_main(&cli, argc, argv);
	dup2(saved_out, 1);
	dup2(saved_err, 2);
	close(saved_out);
	close(saved_err);
	slurp(out, out_text, sizeof(out_text));
	slurp(err, err_text, sizeof(err_text));
	return rc;
}

static void expect(const char *line, int rc, const char *out, const char *err)
{
	is_int(run(line, -1), rc, line);
	if (out && !ok(*out ? strstr(out_text, out) != NULL : !*out_text, "%s: stdout", line))
		printf("# %s\n# lacks: %s\n", out_text, out);
	if (err && !ok(*err ? strstr(err_text, err) != NULL : !*err_text, "%s: stderr", line))
		printf("# %s\n# lacks: %s\n", err_text, err);
}

static void test_parsing(void)
{
	expect("tool -q ca create x --subject=CN=x --tag a --tag=b -tc --count -5 --validity 1y --reason-code "
	       "KeyCompromise -F --for me -o json --at 2030-01-01",
	       0, "{\"id\": \"x\", \"done\": \"created ca x\"}", "");
	is_str(got.subject, "CN=x", "text after =");
	is_int((int64_t)got.tag.n, 3, "repeatable option");
	is_str(got_tag, "c", "value attached to its letter");
	is_int(got.count, -5, "number");
	is_int(got.validity.secs, 365 * 86400, "duration");
	is_int(got.reason_code, 1, "enum value in another spelling");
	ok(got.force && got_globals.quiet, "flags");
	is_str(got.for_, "me", "an option that is a keyword of C");
	is_str(got.at, "2030-01-01", "a command's option hides the global one of the same name");
	is_str(got_op, "ca.create", "operation");
	expect("tool --at 2030-01-01 ca create -s - -- -x", 0, "created ca -x", "warning: careful with \"\\x1b[2J\"");
	is_str(got.subject, "-", "- is a value");
	is_int(got.reason_code, -1, "an enum that was not given");
	is_int(got_now, 1893456000, "global --at sets the clock");
	expect("tool -n ca create x -s y", 0, "+ a\tb\n- \\x1b\n", NULL);
	expect("tool -n ca create x -s y -q -o json", 0, "{\"diff\": \"+ a\\tb\\n- \\\\x1b\\n\"}\n", "");
	expect("tool -y ca delete a b c", 0, "", "");
	is_int((int64_t)many.ids.n, 3, "many operands");
}

static void test_mistakes(void)
{
	static const struct {
		const char *line, *err;
	} rows[] = {
		{ "tool caa", "unknown command \"caa\" (did you mean \"ca\"?)" },
		{ "tool ca crate", "unknown command \"crate\" (did you mean \"create\"?)" },
		{ "tool ca zzzzzz", "unknown command \"zzzzzz\"; see --help\n" },
		{ "tool ca create", "operand CA is missing" },
		{ "tool ca create x", "--subject is required" },
		{ "tool ca create x y", "unexpected operand \"y\"" },
		{ "tool ca create x --subjct y", "unknown option \"--subjct\" (did you mean \"--subject\"?)" },
		{ "tool ca create x --subj y", "unknown option \"--subj\"" },
		{ "tool ca create x -Z", "unknown option \"-Z\"" },
		{ "tool ca create x --subject", "--subject needs a value" },
		{ "tool ca create x -s a -s b", "--subject is given twice" },
		{ "tool ca create x --force=1", "--force takes no value" },
		{ "tool ca create x --count 5x", "--count: \"5x\" is not a whole number" },
		{ "tool ca create x --count 99999999999999999999", "is not a whole number" },
		{ "tool ca create x --reason-code superceded", "(did you mean \"superseded\"?)" },
		{ "tool ca create x --reason-code qqq", "must be one of unspecified, key_compromise, superseded" },
		{ "tool ca create x --validity 5M", "--validity: " },
		{ "tool -o jsn ca list", "--output: unknown value \"jsn\"" },
		{ "tool ca list --page-size 0", "--page-size must be at least 1" },
		{ "tool ca list --page-size -1", "--page-size must be at least 1" },
		{ "tool ca list --all --page-size 5", "exclude each other" },
		{ "tool ca list --filter id[zz]=3", "--filter: " },
		{ "tool ca list --columns id,nam", "--columns: " },
		{ "tool ca list --filtre x", "did you mean \"--filter\"?" },
		{ "tool --subject x ca create y", "unknown option \"--subject\"" },
		{ "tool ca delete a", "delete 1 things: give --yes" },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		expect(rows[i].line, 2, "", rows[i].err);
	expect("tool ca lst -o json", 2, "",
	       "{\"error\": {\"code\": \"usage\", \"message\": \"unknown command \\\"lst\\\"");
}

static void test_results(void)
{
	int full = open("/dev/full", O_WRONLY), pipes[2];

	expect("tool ca list", 0, "ID    SUBJECT", "more: --all, or --bookmark bm");
	ok(strstr(out_text,
		  "root  CN=Acme Root CA,O=Acme Corporation of Somewhere,C=US      0  2100-01-01T00:00:00Z\n") != NULL,
	   "whole row in a pipe");
	ok(strstr(out_text, "evil  CN=a\\x1b[2Jb\\x0ac\\xff") != NULL, "hostile text is escaped");
	expect("tool ca list --columns level,id -q", 0, "LEVEL  ID\n    0  root\n   12  evil\n", "");
	expect("tool ca list --color always", 0, "\033[1mID    SUBJECT", NULL);
	expect("tool ca list -o id", 0, "root\nevil\n", NULL);
	expect("tool ca list -o yaml", 0, "list:\n- id: root\n  subject: ", "");
	expect("tool ca list -o json", 0, "\n], \"next\": \"bm\"}\n", "");
	expect("tool ca none", 0, "ID  SUBJECT  LEVEL  VALID_TO\n", "");
	expect("tool ca none -o json", 0, "{\"list\": [], \"next\": null}\n", "");
	expect("tool ca none -o yaml", 0, "list: []\nnext: null\n", "");
	expect("tool ca show", 0, "id:            root\n", "");
	ok(strstr(out_text, "metadata.site: north\n") && strstr(out_text, "valid_to:      2100-01-01T00:00:00Z\n"),
	   "flattened");
	ok(strstr(out_text, "env:PIN") == NULL && strstr(out_text, "BEGIN") == NULL, "secret and hidden fields");
	expect("tool ca show -o json", 0, "\"id\": \"root\"", "");
	expect("tool ca show -n", 0, "root", "");
	expect("tool ca text", 0, "key\n", "");
	is_int(run("tool ca show", full), 1, "full device");
	ok(strstr(err_text, "standard output: No space left on device") != NULL, "full device is named");
	ok(pipe(pipes) == 0, "pipe");
	close(pipes[0]);
	is_int(run("tool ca show", pipes[1]), 0, "a reader that went away");
	is_str(err_text, "", "… is no error");
	close(pipes[1]);
	close(full);
}

static void test_queries(void)
{
	expect("tool ca list --filter level[ge]=3 --filter id=x --sort-by id --sort-mode desc --page-size 7", 0, NULL,
	       NULL);
	is_int((int64_t)got_query.nfilters, 2, "filters");
	is_int(got_query.page_size, 7, "page size");
	ok(got_query.desc, "descending");
	expect("tool ca list", 0, NULL, NULL);
	is_int(got_query.page_size, 25, "usual page size");
	expect("tool ca list --all", 0, NULL, NULL);
	is_int(got_query.page_size, 0, "--all");
}

static void test_files_and_secrets(void)
{
	char dir[] = "/tmp/test_cli_XXXXXX", path[64], line[256];
	struct stat st;
	FILE *f;

	ok(mkdtemp(dir) != NULL, "folder");
	snprintf(path, sizeof(path), "%s/key", dir);
	snprintf(line, sizeof(line), "tool ca text %s", path);
	expect(line, 0, "", "");
	ok(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600, "private output is 0600");
	expect(line, 4, "", "already exists");
	unsetenv("TEST_SECRET");
	expect("tool ca fail --no-input", 5, "",
	       "passphrase of engine soft is needed: give --passphrase-file, or set TEST_SECRET_SOFT or TEST_SECRET");
	setenv("TEST_SECRET", "general", 1);
	expect("tool ca fail", 6, "", "got \"general\"");
	setenv("TEST_SECRET_SOFT", "special", 1);
	expect("tool ca fail -o json", 6, "",
	       "{\"error\": {\"code\": \"remote\", \"message\": \"got \\\"special\\\"\"}}\n");
	f = fopen(path, "w");
	ok(f && fputs("s3cret\r\nsecond\n", f) >= 0 && fclose(f) == 0, "passphrase file");
	snprintf(line, sizeof(line), "tool ca fail --passphrase-file %s", path);
	expect(line, 6, "", "got \"s3cret\"");
	expect("tool ca fail --passphrase-fd -2", 2, "", "--passphrase-fd: no such descriptor");
	snprintf(line, sizeof(line), "tool ca fail --passphrase-fd %d", open(path, O_RDONLY));
	expect(line, 6, "", "got \"s3cret\"");
	ok(truncate(path, 0) == 0, "empty");
	snprintf(line, sizeof(line), "tool ca fail --passphrase-file %s", path);
	expect(line, 2, "", "the first line is empty");
	unlink(path);
	rmdir(dir);
}

static void test_help(void)
{
	expect("tool", 0, "Commands:\n  ca ", "");
	ok(strstr(out_text, "__hidden") == NULL, "hidden commands are not in help");
	expect("tool ca", 0, "  create ", "");
	expect("tool kms engine --help", 0, "usage: tool kms engine COMMAND", "");
	expect("tool ca create --help", 0, "-s, --subject DN", "");
	ok(strstr(out_text, "--reason-code VALUE") && strstr(out_text, "One of unspecified, key_compromise"),
	   "enum values in help");
	expect("tool ca list -h", 0, "List options:", "");
	expect("tool --version", 0, "tool 1.2\n", "");
	for (const char *p = out_text, *end; (end = strchr(p, '\n')); p = end + 1)
		if (end - p > 84)
			ok(false, "a line of help is too long");
}

static void test_completion(void)
{
	expect("tool __complete ''", 0, "ca\tAuthorities\nkms\t", "");
	expect("tool __complete ca cr", 0, "create\tMake a thing\n", "");
	expect("tool __complete ca create --s", 0, "--subject\t", "");
	expect("tool __complete ca create --subject=x --su", 0, "", "");
	expect("tool __complete ca create --reason-code ''", 0, "unspecified\t\nkey_compromise\t\nsuperseded\t\n", "");
	expect("tool __complete ca create --reason-code=s", 0, "--reason-code=superseded\t\n", "");
	expect("tool __complete ca create --parent r", 0, "root\tthe root\n", "");
	expect("tool __complete ca create --parent=d", 0, "--parent=devices\t\n", "");
	expect("tool __complete -C /nowhere ca create ''", 0, "root\tthe root\ndevices\t\n", "");
	expect("tool __complete ca create x ''", 0, "", "");
	expect("tool __complete ca list --sort-by le", 0, "level\tLevel.\n", "");
	expect("tool __complete ca list --filter le", 0, "level=\tLevel.\n", "");
	expect("tool __complete ca text ''", 0, "@file\n", "");
	expect("tool __complete -C ''", 0, "@dir\n", "");
	expect("tool __complete help ca l", 0, "list\t", "");
	expect("tool __complete nonsense --what -x ''", 0, NULL, "");
}

static bool mandoc_clean(const char *noun)
{
	SCOPED_BUF page = buf_init(BUF_TEXT);
	struct err e = { 0 };
	char noise[4096] = "", path[] = "/tmp/test_cli_XXXXXX", command[128];
	int fd = mkstemp(path);
	size_t n = 0;
	FILE *f;

	if (cli_man(&cli, noun, &page, &e) != 0)
		return false;
	f = fdopen(fd, "w");
	if (!f || fputs(buf_str(&page), f) < 0 || fclose(f) != 0)
		return false;
	/* References are to pages that are not installed yet. */
	snprintf(command, sizeof(command), "mandoc -Tlint %s 2>&1 | grep -v 'referenced manual not found'", path);
	f = popen(command, "r");
	n = f ? fread(noise, 1, sizeof(noise) - 1, f) : 0;
	if (f)
		pclose(f);
	unlink(path);
	if (n)
		printf("# %s", noise);
	return n == 0;
}

static void test_manual(void)
{
	SCOPED_BUF list_text = buf_init(BUF_TEXT), page = buf_init(BUF_TEXT);
	struct err e = { 0 };

	cli_man_list(&cli, &list_text);
	is_str(buf_str(&list_text), "tool.1\ntool-ca.1\ntool-kms.1\ntool-help.1\ntool-ca.5\ntool.yaml.5\n",
	       "names of pages");
	ok(cli_man(&cli, "caa", &page, &e) != 0 && e.code == ERR_USAGE, "a page of no noun");
	ok(cli_man(&cli, "ca", &page, &e) == 0, "page of a noun");
	ok(strstr(buf_str(&page), "\\&.dot \\e line\n") != NULL, "text is escaped for roff");
	if (system("command -v mandoc >/dev/null 2>&1") != 0) {
		ok(true, "manual pages # SKIP no mandoc here");
		return;
	}
	ok(mandoc_clean(NULL), "lint of tool(1)");
	ok(mandoc_clean("ca"), "lint of tool-ca(1)");
	ok(mandoc_clean("kms"), "lint of tool-kms(1)");
	ok(mandoc_clean("help"), "lint of tool-help(1)");
	ok(mandoc_clean("tool-ca.5"), "lint of tool-ca(5)");
	ok(mandoc_clean("tool.yaml.5"), "lint of tool.yaml(5)");
}

int main(void)
{
	int null = open("/dev/null", O_RDONLY);

	dup2(null, 0); /* nobody to ask */
	unsetenv("NO_COLOR");
	unsetenv("COLUMNS");
	test_parsing();
	test_mistakes();
	test_results();
	test_queries();
	test_files_and_secrets();
	test_help();
	test_completion();
	test_manual();
	return done();
}
