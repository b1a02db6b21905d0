/* The workloads of programs.py by hand: the same semantics, memory laid out as C likes it. A scan gets its
 * stamps and its input through `head`; `*_begin` is a cold start, `*_told` copies what is compared. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define MS 1000000
#define CLEAR(x) memset(x, 0, sizeof x)

struct head { int64_t type, now_ns; double dt_s; int64_t word; double x; };

static inline bool bit(const struct head *h, int n) { return h->word >> (n & 63) & 1; }
static inline int64_t raw(double x) { int64_t word; memcpy(&word, &x, 8); return word; }

/* 100 rungs of ten operations */
static struct { bool run, fault, lamp; } rungs[100];
void bool1k_begin(void) { CLEAR(rungs); }
void bool1k(struct head *h)
{
    bool start = bit(h, 0);
    for (int n = 0; n < 100; n++) {
        bool stop = bit(h, n + 1), guard = bit(h, n + 2);
        rungs[n].run = (start || rungs[n].run) && !stop && guard;
        rungs[n].fault = (rungs[n].fault && !stop) || (start && !guard);
        start = rungs[n].lamp = rungs[n].run != rungs[n].fault;
    }
}
void bool1k_told(int64_t *out)
{
    for (int n = 0; n < 100; n++)
        *out++ = rungs[n].run, *out++ = rungs[n].fault, *out++ = rungs[n].lamp;
}

/* 125 channels of eight operations */
static struct { double gain, offset, value, trend, ahead; } channels[125];
void real1k_begin(void)
{
    CLEAR(channels);
    for (int n = 0; n < 125; n++)
        channels[n].gain = 1.5, channels[n].offset = -0.25;
}
void real1k(struct head *h)
{
    for (int n = 0; n < 125; n++) {
        double change = (h->x * channels[n].gain + channels[n].offset - channels[n].value) * 0.125;
        channels[n].value += change;
        channels[n].trend = channels[n].trend * 0.875 + change;
        channels[n].ahead = channels[n].value + channels[n].trend;
    }
}
void real1k_told(int64_t *out)
{
    for (int n = 0; n < 125; n++)
        *out++ = raw(channels[n].value), *out++ = raw(channels[n].trend), *out++ = raw(channels[n].ahead);
}

/* 100 TON, 50 R_TRIG, 50 CTU */
struct r_trig { bool q, m; };
struct ton { bool q, timing; int64_t et_ns, since_ns; };
struct ctu { struct r_trig edge; bool q; int64_t cv; };
static struct ton timers[100];
static struct r_trig edges[50];
static struct ctu counters[50];

static inline bool r_trig(struct r_trig *e, bool clk)
{
    e->q = clk && !e->m;
    e->m = clk;
    return e->q;
}
static inline void ton(struct ton *t, bool in, int64_t pt_ns, int64_t now_ns)
{
    if (in && !t->timing)
        t->since_ns = now_ns;
    t->timing = in;
    if (!in) {
        t->q = false;
        t->et_ns = 0;
    } else if (!t->q) {
        int64_t past_ns = now_ns - t->since_ns, most_ns = pt_ns > 0 ? pt_ns : 0;
        t->et_ns = past_ns < most_ns ? past_ns : most_ns;
        t->q = t->et_ns >= pt_ns;
    }
}
static inline void ctu(struct ctu *c, bool cu, bool r, int64_t pv)
{
    bool rising = r_trig(&c->edge, cu);
    if (r)
        c->cv = 0;
    else if (rising && c->cv < INT64_MAX)
        c->cv++;
    c->q = c->cv >= pv;
}
void blocks200_begin(void) { CLEAR(timers); CLEAR(edges); CLEAR(counters); }
void blocks200(struct head *h)
{
    for (int n = 0; n < 100; n++)
        ton(&timers[n], bit(h, n), 2 * MS, h->now_ns);
    for (int n = 0; n < 50; n++) {
        bool rising = r_trig(&edges[n], timers[2 * n].q);
        ctu(&counters[n], rising, timers[2 * n + 1].q, 3);
    }
}
void blocks200_told(int64_t *out)
{
    for (int n = 0; n < 100; n++)
        *out++ = timers[n].q, *out++ = timers[n].et_ns;
    for (int n = 0; n < 50; n++)
        *out++ = counters[n].q, *out++ = counters[n].cv;
}

/* 20 PIDs in the standard form, with interlocks */
struct pid {
    double kp, ti_s, td_s, filter_n, out_low, out_high, out, integral, derivative, last_measured;
    bool measuring, by_hand;
};
static struct { struct pid pid; double degC; bool hot; } loops[20];

static inline double limit(double low, double x, double high)
{
    double at_least = x >= low ? x : low;
    return at_least <= high ? at_least : high;
}
static inline double snapped(double x) { return -1e-9 < x && x < 1e-9 ? 0.0 : x; }
static inline double least(double a, double b) { return b < a ? b : a; }
static inline double most(double a, double b) { return b > a ? b : a; }

static inline double pid(struct pid *p, bool on, double setpoint, double measured, double manual, double dt_s)
{
    double error = setpoint - measured;
    bool usable = isfinite(error);
    if (usable) {
        if (!p->measuring)
            p->last_measured = measured;
        double rise = measured - p->last_measured;
        p->last_measured = measured;
        double kick = p->kp * p->td_s * p->filter_n * rise;
        double slope = (p->td_s * p->derivative - kick) / (p->td_s + p->filter_n * dt_s);
        p->derivative = p->td_s > 0.0 ? snapped(slope) : 0.0;
    }
    p->measuring = usable;
    if (!on) {
        p->out = limit(p->out_low, manual, p->out_high);
        p->by_hand = true;
    } else if (usable) {
        double others = p->kp * error + p->derivative;
        if (p->by_hand)
            p->integral = p->out - others;
        double total = others + p->integral;
        double step = p->ti_s > 0.0 ? p->kp * error * dt_s / p->ti_s : 0.0;
        p->integral += limit(least(p->out_low - total, 0.0), step, most(p->out_high - total, 0.0));
        p->out = limit(p->out_low, others + p->integral, p->out_high);
        p->by_hand = false;
    }
    return p->out;
}
void pid20_begin(void)
{
    CLEAR(loops);
    for (int n = 0; n < 20; n++)
        loops[n].pid = (struct pid){.kp = 4.0, .ti_s = 2.0, .td_s = 0.5, .filter_n = 10.0, .out_high = 100.0};
}
void pid20(struct head *h)
{
    double setpoint = 40.0 + 1.0 * (double)(h->word & 63);
    for (int n = 0; n < 20; n++) {
        loops[n].hot = loops[n].degC > 80.0 || (loops[n].hot && loops[n].degC > 70.0);
        bool on = bit(h, n + 6) && !loops[n].hot;
        double out = pid(&loops[n].pid, on, setpoint, loops[n].degC, 0.0, h->dt_s);
        loops[n].degC += (out - loops[n].degC) * 0.01;
    }
}
void pid20_told(int64_t *out)
{
    for (int n = 0; n < 20; n++)
        *out++ = raw(loops[n].pid.out), *out++ = raw(loops[n].pid.integral), *out++ = raw(loops[n].degC);
}

/* 50 state machines */
enum { IDLE, FILLING, HEATING, DRAINING, FAULT };
enum { TRIP = 1, RESET = 2, START = 4, FULL = 8, WARM = 16, EMPTY = 32 };
static struct { int64_t phase, since_ns, batches; } machines[50];

void machines50_begin(void) { CLEAR(machines); }
void machines50(struct head *h)
{
    for (int n = 0; n < 50; n++) {
        int64_t asked = h->word >> (n & 31) & ((n & 3) == 0 ? 63 : 62), phase = machines[n].phase;
        bool may = h->now_ns - machines[n].since_ns >= 3 * MS;
        int64_t next = phase;
        switch (phase) {
        case IDLE:
            if (may && asked & START)
                next = FILLING;
            break;
        case FILLING:
            next = asked & TRIP ? FAULT : may && asked & FULL ? HEATING : phase;
            break;
        case HEATING:
            next = asked & TRIP ? FAULT : may && asked & WARM ? DRAINING : phase;
            break;
        case DRAINING:
            next = asked & TRIP ? FAULT : may && asked & EMPTY ? IDLE : phase;
            break;
        case FAULT:
            if (asked & RESET)
                next = IDLE;
            break;
        }
        if (next != phase) {
            machines[n].batches += phase == DRAINING && next == IDLE;
            machines[n].phase = next;
            machines[n].since_ns = h->now_ns;
        }
    }
}
void machines50_told(int64_t *out)
{
    for (int n = 0; n < 50; n++)
        *out++ = machines[n].phase, *out++ = machines[n].batches;
}
