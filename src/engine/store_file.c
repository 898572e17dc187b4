/* The software engine: one PEM file a key, <dir>/<id>.pem, mode 0600 in a folder of mode 0700. Guarantees: a file that
 * another user owns or that others may read or write is refused, and so is a symbolic link; nothing outside the folder
 * is touched, whatever a record says; a new key is on disk before success is reported. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "engine/sealed.h"

struct software_config {
	char *dir, *passphrase;
	bool unencrypted;
};

static const char *const dir_aka[] = { "storage_directory", NULL };

static const struct field software_fields[] = {
	STR(software_config, dir, "Folder of the key files; not absolute: below .git/lamassu.", .dflt = "keys",
	    .aka = dir_aka),
	SEALED_PASSPHRASE(software_config),
	BOOL(software_config, unencrypted,
	     "Keep new keys without encryption, protected by the modes of the files alone.", .dflt = "false"),
	END
};

static const struct schema software_type = {
	.name = "config", .doc = "The software engine", .size = sizeof(struct software_config),
		.fields = software_fields
};

enum { MAX_KEY_FILE = 1 << 16, MAX_KEY_FILES = 1 << 20, SWEEP_SECS = 3600 };

static int file_open(struct ctx *ctx, struct engine *en, const void *config, struct err *e)
{
	const struct software_config *c = config;

	(void)ctx, (void)e;
	en->unencrypted = c->unencrypted;
	en->passphrase = c->passphrase;
	en->priv = c->dir[0] == '/' ? arena_strdup(en->arena, c->dir) : fs_join(en->arena, en->dir, c->dir);
	return 0;
}

static void file_close(struct engine *en)
{
	en->priv = NULL;
}

/* Names come from records, which others may have written. */
static int file_path(struct ctx *ctx, struct engine *en, const char *name, char **ret, struct err *e)
{
	size_t n = strlen(name);

	if (n == 0 || n > 100 || name[0] == '.' || strspn(name, "0123456789abcdefghijklmnopqrstuvwxyz._-") != n)
		return err_set(e, ERR_INVALID, "\"%s\" is not the name of a key of the software engine", name);
	*ret = fs_join(ctx->arena, en->priv, arena_printf(ctx->arena, "%s.pem", name));
	return 0;
}

static int read_open_file(struct arena *a, const char *path, int fd, struct bytes *ret, struct err *e)
{
	unsigned char *p;
	struct stat st;
	ssize_t got;
	size_t n = 0, room;

	if (fstat(fd, &st) != 0)
		return err_sys(e, path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, ERR_DENIED, "%s: not a regular file", path);
	if (st.st_uid != geteuid())
		return err_set(e, ERR_DENIED, "%s: the key file belongs to another user (%ld)", path, (long)st.st_uid);
	if (st.st_mode & 077)
		return err_set(e, ERR_DENIED,
			       "%s: other users have access to the key file (mode %04o); it must be 0600", path,
			       (unsigned)st.st_mode & 07777);
	if (st.st_size >= MAX_KEY_FILE)
		return err_set(e, ERR_INVALID, "%s: larger than a key file can be", path);
	room = (size_t)st.st_size + 1;
	p = arena_alloc(a, 1, room + 1);
	while (n < room && (got = read(fd, p + n, room - n)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, path);
		n += (size_t)got;
	}
	if (n == room)
		return err_set(e, ERR_CONFLICT, "%s: grew while it was read", path);
	*ret = (struct bytes){ p, n };
	return 0;
}

/* There are no versions: commands that write keys hold the lock of their repository, whose own the folder is. */
static int file_get(struct ctx *ctx, struct engine *en, const char *name, struct bytes *ret, const char **ret_version,
		    struct err *e)
{
	char *path;
	AUTO_FD fd = -1;

	if (file_path(ctx, en, name, &path, e) != 0)
		return -1;
	fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "the engine has no private key here: %s", path);
	if (fd < 0 && errno == ELOOP)
		return err_set(e, ERR_DENIED, "%s: the key file is a symbolic link", path);
	if (fd < 0 && errno == EACCES)
		return err_set(e, ERR_DENIED, "%s: no permission to read the key file", path);
	if (fd < 0)
		return err_sys(e, path);
	if (ret_version)
		*ret_version = STORE_ANY;
	return read_open_file(ctx->arena, path, fd, ret, e);
}

static int file_put(struct ctx *ctx, struct engine *en, const char *name, struct bytes pem, const char *over,
		    struct err *e)
{
	char *path;

	return file_path(ctx, en, name, &path, e) == 0 ? private_write(path, pem, over != NULL, e) : -1;
}

static int file_del(struct ctx *ctx, struct engine *en, const char *name, int64_t *ret_gone_at, struct err *e)
{
	char *path;

	if (file_path(ctx, en, name, &path, e) != 0)
		return -1;
	*ret_gone_at = 0;
	if (unlink(path) == 0)
		return fs_sync_dir(en->priv, e);
	if (errno == ENOENT)
		return err_set(e, ERR_NOT_FOUND, "the engine has no private key here: %s", path);
	return err_sys(e, path);
}

/* What a killed process was writing: a key in a form that nothing refers to. Young ones may be another process's
 * work. */
static void sweep(struct ctx *ctx, const char *dir, const char *name)
{
	const char *path = fs_join(ctx->arena, dir, name);
	struct stat st;

	if (!ctx->dry_run && text_has_prefix(name, ".lamassu-") && lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_mtime < tm_now() - SWEEP_SECS)
		unlink(path);
}

static int file_each(struct ctx *ctx, struct engine *en, int (*cb)(void *, const char *, struct err *), void *arg,
		     struct err *e)
{
	struct strv names;

	if (!fs_exists(en->priv))
		return 0;
	if (fs_list(ctx->arena, en->priv, MAX_KEY_FILES, &names, e) != 0)
		return -1;
	for (size_t i = 0; i < names.n; i++) {
		size_t n = strlen(names.v[i]);

		sweep(ctx, en->priv, names.v[i]);
		if (n > 4 && strcmp(names.v[i] + n - 4, ".pem") == 0 &&
		    cb(arg, arena_strndup(ctx->arena, names.v[i], n - 4), e) != 0)
			return -1;
	}
	return 0;
}

static const struct store_ops file_store = {
	.open = file_open, .close = file_close, .get = file_get, .put = file_put, .del = file_del, .each = file_each
};

static const char *const software_aka[] = { "GOLANG", "FILESYSTEM", NULL };

const struct engine_ops software_engine = {
	.kind = "SOFTWARE", .aka = software_aka, .provider = "Software", .security_level = 0, .config = &software_type,
	.store = &file_store, .find = sealed_find, SEALED_OPS
};
