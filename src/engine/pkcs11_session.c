/* Sessions with a token and the login that they share. Guarantees: a PIN that the token refused is not given to it
 * again by this process; no more sessions are open than the engine's and the token's limits allow; what was lost (a
 * session, the login, the token, the module's state) is made anew once for each task, and a task is never run a third
 * time. */
#include <string.h>

#include "base/text.h"
#include "engine/pkcs11.h"
#include "engine/sealed.h"

/* --- the PIN --- */

/* Tries that are left, in the token's own vague words. */
static const char *tries(const struct p11 *p)
{
	CK_TOKEN_INFO t;

	if (P11(p->f, C_GetTokenInfo, p->slot, &t) != CKR_OK)
		return "";
	if (t.flags & CKF_USER_PIN_LOCKED)
		return "; it is locked now, and the security officer must set a new one";
	if (t.flags & CKF_USER_PIN_FINAL_TRY)
		return "; one try is left before the token locks it";
	return t.flags & CKF_USER_PIN_COUNT_LOW ? "; few tries are left before the token locks it" : "";
}

static int refuse(struct p11 *p, const char *why, struct err *e)
{
	err_set(&p->refused, ERR_DENIED, "%s%s", why, tries(p));
	*e = p->refused;
	return -1;
}

/* On the thread of the command, which the terminal and programs that print PINs know. */
static int ask_pin(struct ctx *ctx, struct p11 *p, struct err *e)
{
	SCOPED_ARENA *a = arena_new();
	const struct secret_ask q = { .what = arena_printf(a, "PIN of engine %s", p->id),
				      .env = secret_env_name(a, "LAMASSU_PIN_", p->id), .env_general = "LAMASSU_PIN" };
	char *pin;

	if (!p->config->pin && (!ctx || !ctx->secret))
		return err_set(e, ERR_DENIED, "%s is needed: set pin in the engine's document, or %s", q.what, q.env);
	if ((p->config->pin ? secret_resolve(a, "pin", p->config->pin, &pin, e) : ctx->secret(ctx, &q, &pin, e)) != 0)
		return -1;
	p11_lock(&p->lock);
	p->pin = arena_strdup(p->arena, pin);
	p11_unlock(&p->lock);
	return 0;
}

/* A stored PIN must not use up a token's last try: whoever changed the PIN would find it locked. */
static int prepare_pin(struct p11_use *u, struct err *e)
{
	struct p11 *p = u->p;
	CK_RV rv;

	if (p->refused.code) {
		*e = p->refused;
		return -1;
	}
	rv = P11(p->f, C_GetTokenInfo, p->slot, &p->token);
	if (rv != CKR_OK)
		return p11_err("C_GetTokenInfo", rv, e);
	if (p->token.flags & CKF_USER_PIN_LOCKED)
		return refuse(p, "the PIN cannot be used", e);
	if (p->token.flags & CKF_PROTECTED_AUTHENTICATION_PATH && !p->config->pin)
		return 0; /* typed on the device itself */
	if (p->token.flags & CKF_USER_PIN_FINAL_TRY && p->config->pin && !p->pin)
		return refuse(p, "the PIN was not tried: log in once with the right one by other means, such as "
			      "pkcs11-tool --login", e);
	process_harden();
	u->asks = !p->pin;
	return p->pin ? 0 : err_set(e, ERR_DENIED, "a PIN is needed");
}

static int login_answer(struct p11_use *u, CK_RV rv, struct err *e)
{
	struct p11 *p = u->p;

	switch (rv) {
	case CKR_OK:
	case CKR_USER_ALREADY_LOGGED_IN:
		return 0;
	case CKR_PIN_INCORRECT:
	case CKR_PIN_INVALID:
	case CKR_PIN_LEN_RANGE:
		return refuse(p, "the token refuses the PIN as wrong", e);
	case CKR_PIN_EXPIRED:
		return refuse(p, "the PIN has expired", e);
	case CKR_PIN_LOCKED:
		return refuse(p, "the PIN is locked", e);
	case CKR_USER_PIN_NOT_INITIALIZED:
		return refuse(p, "the token has no user PIN yet", e);
	case CKR_FUNCTION_CANCELED:
		return refuse(p, "the entry of the PIN was cancelled", e);
	default:
		return p11_fail(u, "C_Login", rv, e);
	}
}

/* Nobody is hurried who types the PIN on the device. */
static CK_RV send_pin(struct p11_use *u, CK_USER_TYPE user)
{
	struct p11 *p = u->p;

	p11_enter("C_Login", p->pin ? 1 : 0);
	return p11_left(p->f->C_Login(u->s, user, (CK_UTF8CHAR *)p->pin, p->pin ? strlen(p->pin) : 0));
}

static int login(struct ctx *ctx, struct p11_use *u, struct err *e)
{
	struct p11 *p = u->p;
	int rc = 0;

	p11_lock(&p->lock);
	if (!p->logged_in && p->config->login && p->token.flags & CKF_LOGIN_REQUIRED) {
		rc = prepare_pin(u, e);
		if (rc == 0 && !p->pin && ctx && ctx->note)
			ctx->note(ctx->warn_arg, "enter the PIN on the token's own key pad");
		if (rc == 0)
			rc = login_answer(u, send_pin(u, CKU_USER), e);
		p->logged_in = rc == 0;
	}
	p11_unlock(&p->lock);
	return rc;
}

int p11_login_again(struct p11_use *u, struct err *e)
{
	struct p11 *p = u->p;
	int rc = -1;

	p11_lock(&p->lock);
	if (p->refused.code)
		*e = p->refused;
	else
		rc = login_answer(u, send_pin(u, CKU_CONTEXT_SPECIFIC), e);
	p11_unlock(&p->lock);
	return rc;
}

/* --- the pool --- */

static int open_session(struct p11_use *u, struct err *e)
{
	struct p11 *p = u->p;
	CK_FLAGS flags = CKF_SERIAL_SESSION | (p->read_only ? 0 : CKF_RW_SESSION);
	CK_RV rv = P11(p->f, C_OpenSession, p->slot, flags, NULL, NULL, &u->s);

	if (rv == CKR_TOKEN_WRITE_PROTECTED) {
		p->read_only = true;
		rv = P11(p->f, C_OpenSession, p->slot, CKF_SERIAL_SESSION, NULL, NULL, &u->s);
	}
	if (rv == CKR_OK) {
		p->nopen++;
		return 0;
	}
	u->rv = rv;
	if (rv == CKR_SESSION_COUNT && p->nopen == 0)
		return err_set(e, ERR_REMOTE, "the token has no free session: other programs have all of them open");
	return p11_err("C_OpenSession", rv, e);
}

/* Waits while all sessions are in use, and makes do with fewer when the token has no more. */
static int take(struct p11_use *u, struct err *e)
{
	struct p11 *p = u->p;
	struct err why = { 0 };
	int rc = -1;

	p11_lock(&p->lock);
	while (rc != 0) {
		if (p->nidle) {
			u->s = p->idle[--p->nidle];
			rc = 0;
		} else if (p->nopen >= p->max && p11_stuck(p->guard)) {
			(void)!err_set(e, ERR_REMOTE, "the module does not answer: an earlier call has not come back");
			break;
		} else if (p->nopen >= p->max) {
			p11_cond_wait(&p->given, &p->lock);
		} else if (open_session(u, &why) == 0) {
			rc = 0;
		} else if (u->rv == CKR_SESSION_COUNT && p->nopen) {
			p->max = p->nopen;
		} else {
			*e = why;
			break;
		}
	}
	u->epoch = p->epoch;
	u->taken = rc == 0;
	if (rc == 0)
		u->rv = CKR_OK;
	p11_unlock(&p->lock);
	return rc;
}

static void give(struct p11_use *u)
{
	struct p11 *p = u->p;

	p11_lock(&p->lock);
	u->taken = false;
	if (u->epoch == p->epoch && (u->rv == CKR_OK || p11_not_able(u->rv))) {
		p->idle[p->nidle++] = u->s;
	} else { /* an operation may still be active in it */
		p->nopen--;
		(void)P11(p->f, C_CloseSession, u->s);
	}
	pthread_cond_signal(&p->given);
	p11_unlock(&p->lock);
}

/* What is still active in the session shows when it is used, as after any loss. */
void p11_came_back(struct p11_use *u, bool locked)
{
	struct p11 *p = u->p;

	if (!locked)
		pthread_mutex_lock(&p->lock);
	if (u->taken && u->epoch == p->epoch)
		p->idle[p->nidle++] = u->s;
	else if (u->taken)
		p->nopen--;
	pthread_cond_signal(&p->given);
	if (!locked)
		pthread_mutex_unlock(&p->lock);
}

static void close_idle(struct p11 *p)
{
	while (p->nidle) {
		p->nopen--;
		(void)P11(p->f, C_CloseSession, p->idle[--p->nidle]);
	}
}

void p11_sessions_close(struct p11 *p)
{
	p11_lock(&p->lock);
	close_idle(p);
	p->logged_in = false;
	p11_unlock(&p->lock);
}

/* --- after a loss --- */

/* Only the first of those that met the loss acts; what they held is closed as they give it back. */
static int recover(struct p11_use *u, struct err *e)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	struct p11 *p = u->p;
	int rc = 0;

	p11_lock(&p->lock);
	if (p->epoch == u->epoch) {
		if (u->rv == CKR_CRYPTOKI_NOT_INITIALIZED)
			(void)P11(p->f, C_Initialize, &args);
		p->epoch++;
		close_idle(p);
		p->logged_in = false;
		rc = p11_token_find(p, p->arena, e);
	}
	p11_unlock(&p->lock);
	return rc;
}

struct run {
	struct ctx *ctx;
	struct p11 *p;
	p11_task *task;
	void *arg;
	bool asks;
};

static int run(void *arg, struct arena *a, struct err *e)
{
	struct run *r = arg;

	for (int try = 0;; try++) {
		struct p11_use u = { .p = r->p, .f = r->p->f, .arena = a };
		int rc;

		p11_using(&u);
		rc = take(&u, e);
		if (rc == 0)
			rc = login(r->ctx, &u, e);
		if (rc == 0)
			rc = r->task(&u, r->arg, e);
		if (u.taken)
			give(&u);
		p11_using(NULL);
		r->asks = u.asks;
		if (rc == 0 || try > 0 || !p11_lost(u.rv))
			return rc;
		*e = (struct err){ 0 };
		if (recover(&u, e) != 0)
			return -1;
	}
}

int p11_run(struct ctx *ctx, struct p11 *p, struct arena *a, p11_task *task, void *arg, struct err *e)
{
	struct run r = { .ctx = ctx, .p = p, .task = task, .arg = arg };

	if (p11_guarded(p->guard, a, run, &r, e) == 0)
		return 0;
	if (!r.asks)
		return -1;
	*e = (struct err){ 0 };
	r.asks = false;
	return ask_pin(ctx, p, e) == 0 ? p11_guarded(p->guard, a, run, &r, e) : -1;
}
