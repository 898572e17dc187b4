/* One enrolment, from a key to files in place. Guarantees: nothing is replaced before the new certificate was found to
 * be for the new key and to lead to the server's authorities; a request is durable before anybody sees it, and what is
 * cut off goes on in the next run (client/pair.h). */
#include "cmd/enrolment.h"

#include <spawn.h>
#include <string.h>
#include <sys/wait.h>

#include "base/fs.h"
#include "base/text.h"
#include "crypto/csr.h"
#include "crypto/key.h"
#include "crypto/name.h"

/* --- the request --- */

/* enroll: the key that is there, or a new one where a type is given. */
static int take_key(struct enrolment_run *r, const struct keytype *type, EVP_PKEY **ret, struct err *e)
{
	struct err why = { 0 };

	if (token_key(r->token, ret, &why) != 0) {
		if (why.code == ERR_NOT_FOUND && r->a->key_type)
			return token_make(r->token, type, ret, e);
		*e = why;
		return why.code == ERR_NOT_FOUND ? err_ctx(e, "--key-type makes the key") : -1;
	}
	if (!r->a->key_type || keytype_of(*ret) == type)
		return 0;
	return err_set(e, ERR_EXISTS, "%s: it is there already, and of another type than %s", r->a->key_out,
		       type->name);
}

static int make_key(struct enrolment_run *r, EVP_PKEY **ret, struct err *e)
{
	const char *text = r->a->key_type ? r->a->key_type : "ecdsa:256";
	const struct keytype *type;
	struct bytes pem;

	if (r->a->same_key && r->token)
		return token_key_for(r->token, r->old.spki, ret, e);
	if (r->token) {
		type = keytype_parse(text, e);
		if (!type)
			return err_ctx(e, "--key-type");
		return r->op == EST_REENROLL ? token_make(r->token, type, ret, e) : take_key(r, type, ret, e);
	}
	if (r->a->same_key) {
		if (fs_read_input(r->ctx->arena, enrolment_key(r->a), FS_LIMIT_CERT, &pem, e) != 0)
			return -1;
		return key_load(pem, NULL, ret, e);
	}
	type = keytype_parse(text, e);
	return type ? key_generate(type, ret, e) : err_ctx(e, "--key-type");
}

/* Does what was under way ask for the same? */
static bool is_ours(const struct enrolment_run *r, const struct bytes san)
{
	struct err ignored = { 0 };
	const struct keytype *type = r->a->key_type ? keytype_parse(r->a->key_type, &ignored) : NULL;
	const struct ext *ext;
	struct csr csr;

	if (!r->pending.key || r->a->same_key || r->a->server_key || (type && keytype_of(r->pending.key) != type))
		return false;
	if (csr_parse(r->ctx->arena, r->pending.csr, &csr, &ignored) != 0)
		return false;
	ext = exts_find(&csr.exts, OID_SAN);
	return bytes_equal(csr.subject, r->subject) && bytes_equal(ext ? ext->value : (struct bytes){ 0 }, san);
}

/* Of a run that was cut off: the key of its request, where that is in a token. */
static int find_pending(struct enrolment_run *r, struct err *e)
{
	struct err why = { 0 };
	struct csr csr;

	if (!r->token || !r->pending.csr.n)
		return 0;
	if (csr_parse(r->ctx->arena, r->pending.csr, &csr, e) != 0)
		return -1;
	if (token_key_for(r->token, csr.spki, &r->pending.key, &why) == 0 || why.code == ERR_NOT_FOUND)
		return 0;
	*e = why;
	return -1;
}

/* The request of a run that was cut off, or a new one, which is durable before anybody sees it. */
static int prepare(struct enrolment_run *r, struct err *e)
{
	struct bytes san = { 0 };

	if (r->san.n && san_build(r->ctx->arena, &r->san, &san, e) != 0)
		return -1;
	if (find_pending(r, e) != 0)
		return -1;
	if (is_ours(r, san))
		return 0;
	EVP_PKEY_free(r->pending.key);
	r->pending = (struct pending){ .old = r->a->remove_old_key ? r->old.der : (struct bytes){ 0 } };
	if (make_key(r, &r->pending.key, e) != 0 ||
	    est_request(r->ctx->arena, r->subject, &r->san, r->pending.key, r->target.to, &r->pending.csr, e) != 0)
		return -1;
	return pending_save(r->ctx, &r->paths, &r->pending, e);
}

/* --- the answer --- */

static struct bytes as_pem(struct arena *a, const struct est_chain *chain, bool with_chain)
{
	struct bytes all = cert_pem(a, chain->leaf);
	SCOPED_BUF text = buf_init(BUF_TEXT);

	buf_put(&text, all.p, all.n);
	for (size_t i = 0; with_chain && i < chain->n; i++) {
		struct bytes pem = cert_pem(a, chain->v[i]);

		buf_put(&text, pem.p, pem.n);
	}
	return (struct bytes){ arena_memdup(a, text.p, text.n), text.n };
}

static int ask(struct enrolment_run *r, const struct est_cas *cas, struct err *e)
{
	struct arena *ar = r->ctx->arena;
	struct est_answer answer;
	struct est_chain chain;
	struct bytes leaf;

	if (est_send(r->est, ar, r->op, r->pending.csr, &answer, e) != 0)
		return -1;
	if (r->target.to && est_unseal(r->ctx, &answer, r->target.to, cas, &answer.key, e) != 0)
		return -1;
	if (answer.key) {
		EVP_PKEY_free(r->pending.key);
		r->pending.key = answer.key;
	}
	if (est_find(&answer, ar, r->pending.key, &leaf, e) != 0 ||
	    est_judge(r->ctx, &answer, cas, leaf, &chain, e) != 0)
		return -1;
	r->pending.certs = as_pem(ar, &chain, r->a->chain);
	return pending_save(r->ctx, &r->paths, &r->pending, e);
}

/* The program gets the paths of the certificate and the key, and no shell. It is run again by the next run when it
 * failed. */
static int run_hook(struct enrolment_run *r, struct err *e)
{
	const char *key = !r->paths.elsewhere ? r->paths.key : r->op == EST_REENROLL ? r->a->key : r->a->key_out;
	char *argv[] = { arena_strdup(r->ctx->arena, r->a->exec), arena_strdup(r->ctx->arena, r->paths.cert),
			 arena_strdup(r->ctx->arena, key), NULL };
	int rc, status = 0;
	pid_t pid;

	rc = posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ);
	if (rc != 0)
		return err_set(e, ERR_REMOTE, "--exec %s: %s; the new certificate is in place", argv[0], strerror(rc));
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return err_set(e, ERR_REMOTE,
			       "--exec %s: it failed (status %d); the new certificate is in place, and the next run "
			       "tries again",
			       argv[0], WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	return 0;
}

/* The key of the certificate that was replaced; one that has gone already is what was wanted. */
static int remove_old(struct enrolment_run *r, struct err *e)
{
	struct err why = { 0 };
	struct cert old;

	if (cert_parse(r->ctx->arena, r->pending.old, &old, e) != 0 ||
	    (!r->token && token_open(r->ctx, r->a->key, &r->token, e) != 0))
		return -1;
	if (token_remove(r->token, old.spki, &why) == 0 || why.code == ERR_NOT_FOUND)
		return 0;
	*e = why;
	return err_ctx(e, "the new certificate is in place, but the old key");
}

static int finish(struct enrolment_run *r, struct err *e)
{
	struct arena *ar = r->ctx->arena;
	struct cert c;
	char *subject;

	if (pending_install(r->ctx, &r->paths, &r->pending, e) != 0 || (r->a->exec && run_hook(r, e) != 0) ||
	    (r->a->remove_old_key && r->pending.old.n && remove_old(r, e) != 0) ||
	    pending_done(r->ctx, &r->paths, e) != 0)
		return -1;
	if (enrolment_first_cert(ar, r->pending.certs, r->paths.cert, &c, e) != 0 ||
	    name_format(ar, c.subject, &subject, e) != 0)
		return -1;
	return out_done(r->ctx, e, "%s %s: certificate %s until %s in %s",
			r->op == EST_REENROLL ? "renewed" : "enrolled", text_escape(ar, bytes_of(subject)),
			cert_serial_hex(ar, c.serial), tm_format(ar, c.not_after), r->paths.cert);
}

/* Where the new key is going to be. */
static int set_token(struct enrolment_run *r, struct err *e)
{
	if (!r->paths.elsewhere)
		return 0;
	r->token = r->op == EST_REENROLL ? r->who : NULL;
	return r->token ? 0 : token_open(r->ctx, r->a->key_out, &r->token, e);
}

/* pending_load came first, and a certificate that is there already goes into place without the server. */
int enrolment_obtain(struct enrolment_run *r, struct err *e)
{
	struct est_cas cas;

	if (r->pending.certs.n)
		return r->ctx->dry_run ? 0 : finish(r, e);
	if (net_need(r->ctx, e) != 0 || enrolment_target(r, e) != 0 || set_token(r, e) != 0 ||
	    enrolment_connect(r, e) != 0 || est_get_cas(r->est, r->ctx->arena, &cas, e) != 0)
		return -1;
	if (r->ctx->dry_run)
		return 0;
	if (r->a->cacerts_out && enrolment_put_cas(r->ctx, r->a->cacerts_out, &cas, e) != 0)
		return -1;
	return prepare(r, e) != 0 || ask(r, &cas, e) != 0 ? -1 : finish(r, e);
}

void enrolment_end(struct enrolment_run *r)
{
	est_close(r->est);
	EVP_PKEY_free(r->pending.key);
	EVP_PKEY_free(r->to.key);
	EVP_PKEY_free(r->who_key);
	if (r->token != r->who)
		token_close(r->token);
	token_close(r->who);
}
