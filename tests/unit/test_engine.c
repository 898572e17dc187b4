/* The software engine from documents to signatures: its files and their modes, passphrases and how a change of one
 * survives a crash, references to secrets, and what is refused. */
#include <errno.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "crypto/key.h"
#include "engine/engine.h"

#include "tap.h"

static char dir[] = "/tmp/lamassu-test-XXXXXX";
static struct arena *arena;
static const char *passphrase = "correct-horse"; /* what the user types */
static int asked, confirmed;

static int type_secret(struct ctx *ctx, const struct secret_ask *q, char **ret, struct err *e)
{
	asked++;
	confirmed += q->confirm;
	if (!passphrase)
		return err_set(e, ERR_DENIED, "%s: give %s", q->what, q->env);
	*ret = arena_strdup(ctx->arena, passphrase);
	return 0;
}

static char *str(const char *s)
{
	return arena_strdup(arena, s);
}

/* A command's view: fresh engines over the same files. */
static struct ctx command(const char *config)
{
	struct engine_doc doc = { .id = str("soft"), .type = str("software"), .security_level = -1,
				 .config = str(config) };
	struct ctx ctx = { .arena = arena, .now = 1700000000, .secret = type_secret };

	asked = confirmed = 0;
	ctx.engines = engines_new(&ctx, &doc, 1, NULL, dir);
	return ctx;
}

static const char *path_of(const char *folder, const char *name)
{
	return arena_printf(arena, "%s/%s/%s", dir, folder, name);
}

static const char *key_path(const struct key *k, const char *tail)
{
	return path_of("keys", arena_printf(arena, "%s%s", k->id, tail));
}

static int mode_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

static struct bytes content(const char *path)
{
	struct bytes b = { 0 };
	struct err e = { 0 };

	if (fs_read(arena, path, 1 << 20, &b, &e) != 0)
		ok(false, "%s", e.msg);
	return b;
}

static void put(const char *path, struct bytes b)
{
	struct err e = { 0 };

	if (fs_write(path, b, 0600, true, &e) != 0)
		ok(false, "%s", e.msg);
}

/* 0 when the key can be loaded and signs, else the code of the error. */
static int use(struct ctx *ctx, const struct key *k, struct err *e)
{
	AUTO(EVP_PKEY) *key = NULL;
	SCOPED_BUF sig = buf_init(BUF_TEXT);

	*e = (struct err){ 0 };
	if (engine_key(ctx, k, &key, e) != 0)
		return (int)e->code;
	return key_sign(key, sigalg_default(key), bytes_of("message"), &sig, e) == 0 ? 0 : (int)e->code;
}

static int use_in_new(const char *config, const struct key *k, struct err *e)
{
	struct ctx ctx = command(config);
	int rc = use(&ctx, k, e);

	engines_free(ctx.engines);
	return rc;
}

static struct key generate(const char *config, const char *type)
{
	struct ctx ctx = command(config);
	struct err e = { 0 };
	struct key k = { 0 };

	ok(engine_generate(&ctx, NULL, keytype_parse(type, &e), "test", &k, &e) == 0, "generate %s %s", type, e.msg);
	engines_free(ctx.engines);
	return k;
}

static void documents(void)
{
	static const char *const forms[] = {
		"id: hsm\ntype: PKCS11\ntoken: t\npin: \"${HSM_PIN}\"\n",
		"{id: hsm, type: PKCS11, config: {token: t, pin: \"${HSM_PIN}\"}}",
		"engines:\n  - id: hsm\n    type: PKCS11\n    token: t\n    config:\n"
		"      pin: \"${HSM_PIN}\"\ndefault_id: hsm\n",
		"crypto_engines:\n  PKCS11:\n    - id: hsm\n      token: t\n      pin: \"${HSM_PIN}\"\n"
		"  default_id: hsm\n",
	};
	struct engine_doc *v, doc;
	struct err e;
	char *def;
	size_t n;

	for (size_t i = 0; i < COUNT(forms); i++) {
		e = (struct err){ 0 };
		ok(engine_docs_load(arena, "f", bytes_of(forms[i]), &v, &n, &def, &e) == 0 && n == 1, "form %zu %s", i,
		   e.msg);
		is_str(v->type, "PKCS11", "its type");
		is_str(v->config, "{\"token\":\"t\",\"pin\":\"${HSM_PIN}\"}", "its config");
		is_str(def, i < 2 ? NULL : "hsm", "its default");
	}
	e = (struct err){ 0 };
	ok(engine_docs_load(arena, "f", bytes_of("id: a\nengines: [{id: b}]\n"), &v, &n, &def, &e) != 0,
	   "two forms at once");
	e = (struct err){ 0 };
	ok(engine_docs_load(arena, "f", bytes_of("id: a\ntoken: t\nconfig: {token: u}\n"), &v, &n, &def, &e) != 0,
	   "twice");
	e = (struct err){ 0 };
	ok(engine_docs_load(arena, "f", bytes_of("id: a\ntype: GOLANG\ndirr: /x\n"), &v, &n, &def, &e) == 0,
	   "taken as config");
	doc = v[0];
	ok(engine_doc_check(arena, &doc, &e) != 0 && strstr(e.msg, "did you mean \"dir\""), "refused by its kind: %s",
	   e.msg);
	doc = (struct engine_doc){ .id = str("a"), .type = str("golang"), .security_level = -1 };
	ok(engine_doc_check(arena, &doc, &e) == 0, "golang");
	is_str(doc.type, "SOFTWARE", "one name for a kind");
	doc.security_level = 1;
	ok(engine_doc_check(arena, &doc, &e) && strstr(e.msg, "security_level"), "the level is not raised: %s",
	   e.msg);
	doc = (struct engine_doc){ .id = str("a"), .type = str("WONDER"), .security_level = -1 };
	ok(engine_doc_check(arena, &doc, &e) != 0 && strstr(e.msg, "there are: SOFTWARE"), "unknown kind: %s", e.msg);
}

static struct key life(void)
{
	mode_t saved = umask(0);
	struct key k = generate("{}", "ecdsa:256");
	struct err e;

	umask(saved);
	is_int(asked, 1, "the first key asks for a passphrase");
	is_int(confirmed, 1, "and has it confirmed");
	is_int(prctl(PR_GET_DUMPABLE), 0, "the process cannot be dumped");
	is_int(mode_of(path_of("keys", "")), 0700, "mode of the folder");
	is_int(mode_of(key_path(&k, ".pem")), 0600, "mode of the key");
	is_int(mode_of(path_of("engines", "soft.seal")), 0600, "mode of the seal");
	ok(key_is_encrypted(content(key_path(&k, ".pem"))), "the key is encrypted");
	is_str(k.handle, k.id, "its handle is its id");
	is_str(k.engine_id, "soft", "its engine");
	is_int(k.size, 256, "its size");

	is_int(use_in_new("{}", &k, &e), 0, "a later command signs");
	is_int(asked, 1, "it asks once");
	is_int(confirmed, 0, "without confirmation");
	passphrase = "wrong";
	is_int(use_in_new("{}", &k, &e), ERR_DENIED, "a wrong passphrase");
	ok(strstr(e.msg, "wrong passphrase") && !strstr(e.msg, "wrong\""), "is named: %s", e.msg);
	passphrase = NULL;
	is_int(use_in_new("{}", &k, &e), ERR_DENIED, "no passphrase");
	ok(strstr(e.msg, "LAMASSU_PASSPHRASE_SOFT"), "what to give is named: %s", e.msg);
	passphrase = "correct-horse";
	return k;
}

static void refusals(const struct key *k)
{
	const char *path = key_path(k, ".pem"), *away = key_path(k, ".away");
	struct key other = *k, second = generate("{}", "ed25519");
	struct err e;

	other.public_key = second.public_key;
	is_int(use_in_new("{}", &other, &e), ERR_CHECK, "a record of another key");
	other = *k;
	other.handle = str("../engines/soft");
	is_int(use_in_new("{}", &other, &e), ERR_INVALID, "a handle that leaves the folder");
	other.handle = second.id;
	is_int(use_in_new("{}", &other, &e), ERR_CHECK, "a handle of another key");
	other = *k;
	other.has_private_key = false;
	is_int(use_in_new("{}", &other, &e), ERR_DENIED, "a public key");
	chmod(path, 0640);
	is_int(use_in_new("{}", k, &e), ERR_DENIED, "others may read the key");
	ok(strstr(e.msg, "0640"), "the mode is named: %s", e.msg);
	chmod(path, 0600);
	if (geteuid() == 0) {
		ok(chown(path, 65534, 65534) == 0, "chown");
		is_int(use_in_new("{}", k, &e), ERR_DENIED, "another user's key");
		ok(chown(path, 0, 0) == 0, "chown back");
	}
	ok(rename(path, away) == 0 && symlink(away, path) == 0, "a symbolic link");
	is_int(use_in_new("{}", k, &e), ERR_DENIED, "is refused");
	ok(unlink(path) == 0, "no file");
	is_int(use_in_new("{}", k, &e), ERR_NOT_FOUND, "is not found");
	ok(rename(away, path) == 0, "back again");
	is_int(use_in_new("{}", k, &e), 0, "all is well");
}

static int other_new(struct ctx *ctx, const struct secret_ask *q, char **ret, struct err *e)
{
	(void)e;
	*ret = arena_strdup(ctx->arena, text_has_prefix(q->what, "new ") ? "battery staple" : passphrase);
	return 0;
}

static void change(const struct key *k)
{
	const char *path = key_path(k, ".pem"), *next = key_path(k, ".next.pem"), *seal = path_of("engines",
												  "soft.seal");
	struct bytes old_pem = content(path), old_seal = content(seal), new_pem;
	struct ctx ctx = command("{}");
	struct err e = { 0 };
	char *random = engine_passphrase_random(arena);

	ok(engine_passphrase(&ctx, "soft", "correct-horse", false, &e) != 0 && e.code == ERR_CONFLICT, "the same: %s",
	   e.msg);
	engines_free(ctx.engines);
	ctx = command("{}");
	ctx.secret = other_new;
	e = (struct err){ 0 };
	ok(engine_passphrase(&ctx, NULL, NULL, false, &e) == 0, "change %s", e.msg);
	is_int(use(&ctx, k, &e), 0, "the same process goes on");
	engines_free(ctx.engines);
	is_int(use_in_new("{}", k, &e), ERR_DENIED, "the old passphrase is void");
	passphrase = "battery staple";
	is_int(use_in_new("{}", k, &e), 0, "the new one holds");
	ok(!fs_exists(next), "nothing is left");
	new_pem = content(path);

	/* killed before the seal was replaced: the old forms hold */
	put(path, old_pem);
	put(next, new_pem);
	struct bytes new_seal = content(seal);
	put(seal, old_seal);
	passphrase = "correct-horse";
	is_int(use_in_new("{}", k, &e), 0, "killed early: the old passphrase holds");
	passphrase = "battery staple";
	is_int(use_in_new("{}", k, &e), ERR_DENIED, "and the new one does not");

	/* killed after: the new forms hold, and take their places */
	put(seal, new_seal);
	is_int(use_in_new("{}", k, &e), 0, "killed late: the new passphrase holds");
	ok(bytes_equal(content(path), new_pem) && !fs_exists(next), "and the key is put in place");

	ctx = command("{}");
	ok(strlen(random) == 64 && engine_passphrase(&ctx, "soft", random, true, &e) == 0, "generated %s", e.msg);
	engines_free(ctx.engines);
	passphrase = random;
	int64_t start = tm_mono_ms();
	is_int(use_in_new("{}", k, &e), 0, "a generated passphrase");
	ok(tm_mono_ms() - start < 200, "needs no stretching");
}

static void unlocking(const struct key *k)
{
	struct ctx ctx = command("{}");
	struct err e = { 0 };
	bool was;

	if (engine_unlock(&ctx, "soft", 60, &e) != 0 && e.code == ERR_UNSUPPORTED) {
		ok(true, "# SKIP no keyring here: %s", e.msg);
		engines_free(ctx.engines);
		return;
	}
	ok(e.code == ERR_NONE && engine_is_unlocked(&ctx, "soft"), "unlocked %s", e.msg);
	engines_free(ctx.engines);
	const char *saved = passphrase;
	passphrase = NULL;
	is_int(use_in_new("{}", k, &e), 0, "an unlocked engine asks nothing");
	ctx = command("{}");
	ok(engine_lock(&ctx, "soft", &was, &e) == 0 && was, "locked");
	ok(engine_lock(&ctx, "soft", &was, &e) == 0 && !was, "already");
	engines_free(ctx.engines);
	is_int(use_in_new("{}", k, &e), ERR_DENIED, "a locked one asks");
	passphrase = saved;
}

static void plain(void)
{
	static const char config[] = "{\"unencrypted\":true,\"dir\":\"plain\"}";
	const char *saved = passphrase;
	struct err e = { 0 };
	struct ctx ctx;
	struct key k;

	passphrase = NULL;
	k = generate(config, "ecdsa:384");
	is_int(asked, 0, "unencrypted asks nothing");
	ok(!key_is_encrypted(content(path_of("plain", arena_printf(arena, "%s.pem", k.id)))), "and is not encrypted");
	is_int(use_in_new(config, &k, &e), 0, "and signs");
	ctx = command(config);
	ok(engine_passphrase(&ctx, NULL, NULL, false, &e) != 0, "it has no passphrase: %s", e.msg);
	engines_free(ctx.engines);
	passphrase = saved;
	ctx = command("{\"dir\":\"plain\"}");
	e = (struct err){ 0 };
	ok(engine_passphrase(&ctx, NULL, "other", false, &e) == 0 && asked == 1, "encrypt what was plain %s", e.msg);
	engines_free(ctx.engines);
	ok(key_is_encrypted(content(path_of("plain", arena_printf(arena, "%s.pem", k.id)))), "now it is encrypted");
	passphrase = "other";
	is_int(use_in_new("{\"dir\":\"plain\"}", &k, &e), 0, "and signs");
}

static int count_row(void *arg, const struct engine_test_row *row)
{
	ok(strcmp(row->result, "ok") == 0 && row->algorithm[0], "conformance of %s: %s", row->keytype, row->result);
	++*(int *)arg;
	return 0;
}

static void conformance(void)
{
	struct ctx ctx = command("{\"unencrypted\":true,\"dir\":\"conformance\"}");
	struct err e = { 0 };
	struct strv types, left;
	int n = 0;

	ok(engine_test(&ctx, "soft", count_row, &n, &e) == 0, "all types %s", e.msg);
	ok(engine_keytypes(&ctx, "soft", &types, &e) == 0 && (int)types.n == n && n >= 8, "%d types", n);
	ok(fs_list(arena, path_of("conformance", ""), 100, &left, &e) == 0 && left.n == 0, "no key is left");
	engines_free(ctx.engines);
}

static void import_and_dry_run(void)
{
	struct ctx ctx = command("{}");
	AUTO(EVP_PKEY) *key = NULL;
	struct err e = { 0 };
	struct key k, twice, dry;
	int64_t gone_at;

	ok(key_generate(keytype_parse("ecdsa:521", &e), &key, &e) == 0, "a key from elsewhere");
	ok(engine_import(&ctx, "soft", key, "imported", &k, &e) == 0, "import %s", e.msg);
	is_int(k.size, 521, "its size");
	ok(engine_import(&ctx, "soft", key, "imported", &twice, &e) == 0, "again, as after a crash %s", e.msg);
	ok(engine_destroy(&ctx, &k, &gone_at, &e) == 0 && !fs_exists(key_path(&k, ".pem")), "destroy %s", e.msg);
	is_int(use(&ctx, &k, &e), ERR_NOT_FOUND, "gone");
	ok(engine_get(&ctx, "hard", &(struct engine *){ NULL }, &e) != 0 && strstr(e.msg, "there are: soft"), "%s",
	   e.msg);
	engines_free(ctx.engines);

	ctx = command("{\"dir\":\"dry\"}");
	ctx.dry_run = true;
	e = (struct err){ 0 };
	ok(engine_generate(&ctx, NULL, keytype_parse("ecdsa:256", &e), "dry", &dry, &e) == 0, "dry run %s", e.msg);
	is_int(use(&ctx, &dry, &e), 0, "its key signs");
	ok(asked == 0 && !fs_exists(path_of("dry", "")), "nothing is asked or written");
	engines_free(ctx.engines);
}

static void references(void)
{
	static const struct {
		const char *ref, *want; /* NULL: refused */
	} rows[] = {
		{ "${LAMASSU_T}", "s3cret" }, { "env:LAMASSU_T", "s3cret" }, { "env:LAMASSU_NONE", NULL }, { "${A B}",
													    NULL },
		{ "${}", NULL }, { "s3cret", NULL }, { "file:/nonexistent", NULL }, { "fd:x", NULL }, { "fd:999",
												       NULL },
		{ "command:echo s3cret", "s3cret" }, { "command:printf '%s' \"a  b\"", "a  b" },
		{ "command:echo $HOME ; rm", "$HOME ; rm" }, { "command:printf a\\ b", "a b" }, { "command:echo 'x",
												 NULL },
		{ "command:", NULL }, { "command:false", NULL }, { "command:/nonexistent/program",
								  NULL }, { "command:true", NULL },
		{ "command:printf 'a\\000b'", NULL }, { "command:head -c 70000 /dev/zero", NULL },
	};
	const char *path = path_of("keys", "secret");
	char *got;

	struct err refused = { 0 };
	ok(secret_resolve(arena, "pin", "command:echo s3cret", &got, &refused) != 0 && refused.code == ERR_DENIED &&
	   strstr(refused.msg, "lamassu.allowCommands"), "no program runs unasked: %s", refused.msg);
	secret_allow_commands();
	setenv("LAMASSU_T", "s3cret", 1);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct err e = { 0 };

		got = NULL;
		if (secret_resolve(arena, "pin of engine hsm", rows[i].ref, &got, &e) == 0)
			is_str(got, rows[i].want, rows[i].ref);
		else
			ok(!rows[i].want && strncmp(e.msg, "pin of engine hsm: ", 19) == 0 && !strstr(e.msg, "s3cret"),
			   "%s: %s",
			   rows[i].ref, e.msg);
	}
	struct err e = { 0 };
	put(path, bytes_of("from a file\r\n"));
	ok(secret_resolve(arena, "x", arena_printf(arena, "file:%s", path), &got, &e) == 0, "file %s", e.msg);
	is_str(got, "from a file", "without its line end");
	int fds[2];
	ok(pipe(fds) == 0 && write(fds[1], "piped\n", 6) == 6 && close(fds[1]) == 0, "pipe");
	ok(secret_resolve(arena, "x", arena_printf(arena, "fd:%d", fds[0]), &got, &e) == 0, "fd %s", e.msg);
	is_str(got, "piped", "from a descriptor");
	close(fds[0]);
}

int main(void)
{
	struct key k;

	arena = arena_new();
	if (!mkdtemp(dir))
		return 99;
	documents();
	k = life();
	refusals(&k);
	change(&k);
	unlocking(&k);
	plain();
	conformance();
	import_and_dry_run();
	references();
	if (fork() == 0)
		execlp("rm", "rm", "-rf", dir, (char *)NULL);
	arena_free(arena);
	return done();
}
