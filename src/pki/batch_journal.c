/* The journal of a batch. Guarantees: only a run that was cut off leaves one behind; two runs of the same batch at once
 * do not take each other for interrupted ones (the second keeps no journal). */
#include "pki/batch_journal.h"

#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/text.h"
#include "crypto/digest.h"
#include "state/ledger.h"

enum { ID_LEN = 32 };

/* Names, authority, profile and wishes: what makes it the same batch. */
static char *batch_key(struct ctx *ctx, const struct batch *b)
{
	SCOPED_BUF text = buf_init(BUF_BIG);
	char cwd[4096];

	if (getcwd(cwd, sizeof(cwd)) == NULL)
		cwd[0] = '\0';
	buf_printf(&text, "%s\n%s\n%s\n%s\n%d %d\n", b->ca->rec.id, b->profile->id,
		   b->wishes.subject ? b->wishes.subject : "", b->wishes.validity ? b->wishes.validity : "",
		   b->wishes.allow_outlive, (int)b->wishes.path_length);
	for (size_t i = 0; i < b->wishes.san.n; i++)
		buf_printf(&text, "%s\n", b->wishes.san.v[i]);
	for (size_t i = 0; i < b->n; i++) {
		const struct batch_item *it = &b->items[i];
		if (it->path)
			buf_printf(&text, "%s/%s\n", it->path[0] == '/' ? "" : cwd, it->path);
		else
			buf_put(&text, it->text.p, it->text.n);
	}
	return sha256_hex(ctx->arena, buf_bytes(&text));
}

static int by_request(const void *a, const void *b)
{
	const struct certrec *x = a, *y = b;

	return strcmp(x->request_sha256 ? x->request_sha256 : "", y->request_sha256 ? y->request_sha256 : "");
}

/* All that the interrupted run got into the ledger and that is still good. */
static int load_done(struct ctx *ctx, struct journal *j, struct err *e)
{
	struct filter only[] = { { .field = "batch", .op = OP_EQ, .value = j->id },
				 { .field = "status", .op = OP_EQ, .value = "ACTIVE" } };
	struct query q = { .filters = only, .nfilters = COUNT(only) };
	char *next;

	if (ledger_certs(ctx->state, &q, &j->done, &j->ndone, &next, e) != 0)
		return -1;
	qsort(j->done, j->ndone, sizeof(*j->done), by_request);
	if (j->ndone)
		ctx_warn(ctx, "going on with an interrupted batch: %s issued already",
			 text_count(ctx->arena, j->ndone, "certificate", NULL));
	return 0;
}

static int fresh_id(struct ctx *ctx, struct journal *j, struct err *e)
{
	unsigned char raw[ID_LEN / 2];

	if (RAND_bytes(raw, sizeof(raw)) != 1)
		return err_set(e, ERR_CRYPTO, "no random bytes");
	j->id = hex_encode(ctx->arena, (struct bytes){ raw, sizeof(raw) });
	if (pwrite(j->fd, j->id, ID_LEN, 0) != ID_LEN || fsync(j->fd) != 0)
		return err_sys(e, j->path);
	return 0;
}

int journal_open(struct ctx *ctx, const struct batch *b, struct journal *ret, struct err *e)
{
	char *dir = fs_join(ctx->arena, state_private(ctx->state), "batches");
	struct journal j = { .path = fs_join(ctx->arena, dir, batch_key(ctx, b)) };
	char id[ID_LEN + 1] = { 0 };

	if (fs_mkdirs(dir, 0700, e) != 0)
		return -1;
	j.fd = open(j.path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j.fd < 0)
		return err_sys(e, j.path);
	if (flock(j.fd, LOCK_EX | LOCK_NB) != 0) {
		close(j.fd);
		return 0; /* the same batch runs right now: this one stands for itself */
	}
	*ret = j;
	if (pread(j.fd, id, ID_LEN, 0) == ID_LEN && strspn(id, "0123456789abcdef") == ID_LEN) {
		ret->id = arena_strdup(ctx->arena, id);
		return load_done(ctx, ret, e);
	}
	return fresh_id(ctx, ret, e);
}

bool journal_find(const struct journal *j, const char *request_sha256, struct certrec *ret)
{
	struct certrec key = { 0 };
	const struct certrec *hit;

	if (j->ndone == 0 || request_sha256 == NULL)
		return false;
	memcpy(&key.request_sha256, &request_sha256, sizeof(request_sha256));
	hit = bsearch(&key, j->done, j->ndone, sizeof(*j->done), by_request);
	if (hit)
		*ret = *hit;
	return hit != NULL;
}

void journal_close(struct journal *j, bool finished)
{
	if (j->id == NULL)
		return;
	if (finished)
		unlink(j->path);
	close(j->fd);
	j->id = NULL;
}
