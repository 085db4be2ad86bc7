/*
 * The run queue: see runq.h. A sorted array of buckets, two lists each, which swap their parts at
 * the beginning of a round. Nearly every task has priority 0 and finds its bucket without a search.
 */
#include "core/runq.h"

#include <stdlib.h>
#include <string.h>

#include "core/fault.h"

#define MANY 64 /* from here on empty buckets are dropped between rounds */

static void bucket_init(struct tk_bucket *bucket, int32_t priority)
{
    bucket->priority = priority;
    tk_list_init(&bucket->tasks[0]);
    tk_list_init(&bucket->tasks[1]);
}

int tk_runq_init(struct tk_runq *queue)
{
    memset(queue, 0, sizeof *queue);
    bucket_init(&queue->normal, 0);
    queue->capacity = 8;
    queue->buckets = calloc(queue->capacity, sizeof(struct tk_bucket *));
    if (queue->buckets == NULL) {
        return TK_ENOMEM;
    }
    queue->buckets[queue->size++] = &queue->normal;
    return 0;
}

void tk_runq_finish(struct tk_runq *queue)
{
    for (size_t i = 0; i < queue->size; i++) {
        if (queue->buckets[i] != &queue->normal) {
            free(queue->buckets[i]);
        }
    }
    free(queue->buckets);
    queue->buckets = NULL;
    queue->size = 0;
}

/* The first bucket whose priority is not smaller. */
static size_t search(const struct tk_runq *queue, int32_t priority)
{
    size_t low = 0, high = queue->size;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (queue->buckets[middle]->priority < priority) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool reserve(struct tk_runq *queue)
{
    struct tk_bucket **more;

    if (queue->size < queue->capacity) {
        return true;
    }
    more = realloc(queue->buckets, queue->capacity * 2 * sizeof *more);
    if (more == NULL) {
        return false;
    }
    queue->buckets = more;
    queue->capacity *= 2;
    return true;
}

/* Without memory for a new bucket the task goes with the normal ones: late or early, never lost. */
static struct tk_bucket *bucket_of(struct tk_runq *queue, int32_t priority)
{
    struct tk_bucket *bucket;
    size_t at;

    if (priority == 0) {
        return &queue->normal;
    }
    at = search(queue, priority);
    if (at < queue->size && queue->buckets[at]->priority == priority) {
        return queue->buckets[at];
    }
    bucket = reserve(queue) ? malloc(sizeof *bucket) : NULL;
    if (bucket == NULL) {
        return &queue->normal;
    }
    bucket_init(bucket, priority);
    memmove(&queue->buckets[at + 1], &queue->buckets[at],
            (queue->size - at) * sizeof *queue->buckets);
    queue->buckets[at] = bucket;
    queue->size++;
    if (at <= queue->cursor) {
        queue->cursor++;
    }
    return bucket;
}

void tk_runq_push(struct tk_runq *queue, struct tk_task *task)
{
    unsigned next = queue->phase ^ 1u;

    tk_list_push(&bucket_of(queue, task->priority)->tasks[next], &task->node);
    task->phase = next & 1u;
    queue->count[next]++;
}

void tk_runq_remove(struct tk_runq *queue, struct tk_task *task)
{
    tk_list_remove(&task->node);
    queue->count[task->phase]--;
}

struct tk_task *tk_runq_pop(struct tk_runq *queue)
{
    unsigned now = queue->phase;
    struct tk_list *tasks;
    struct tk_task *task;

    if (queue->count[now] == 0) {
        return NULL;
    }
    while (tk_list_empty(&queue->buckets[queue->cursor]->tasks[now])) {
        queue->cursor++;
    }
    tasks = &queue->buckets[queue->cursor]->tasks[now];
    task = tk_container_of(tk_list_first(tasks), struct tk_task, node);
    tk_runq_remove(queue, task);
    /* Of many who are ready the next has not been looked at for long: it comes while this one runs.
     */
    __builtin_prefetch(tasks->next);
    __builtin_prefetch((const char *)tasks->next + 64);
    return task;
}

/* Drops buckets that nobody is in. */
static void prune(struct tk_runq *queue)
{
    size_t kept = 0;

    for (size_t i = 0; i < queue->size; i++) {
        struct tk_bucket *bucket = queue->buckets[i];

        if (bucket != &queue->normal && tk_list_empty(&bucket->tasks[0]) &&
            tk_list_empty(&bucket->tasks[1])) {
            free(bucket);
        } else {
            queue->buckets[kept++] = bucket;
        }
    }
    queue->size = kept;
}

/*
 * Puts the `count` members of a list into an order that is drawn: each half by itself, then merged,
 * where the next comes from a half with the chance of its share in what is left.
 */
static void shuffle(struct tk_list *list, size_t count, struct tk_random *random)
{
    size_t left = count / 2, right = count - left;
    struct tk_list half, merged;

    if (count < 2) {
        return;
    }
    tk_list_init(&half);
    tk_list_init(&merged);
    for (size_t i = 0; i < left; i++) {
        struct tk_list *node = tk_list_first(list);

        tk_list_remove(node);
        tk_list_push(&half, node);
    }
    shuffle(&half, left, random);
    shuffle(list, right, random);
    while (left + right > 0) {
        bool from_left = tk_random_below(random, left + right) < left;
        struct tk_list *node = tk_list_first(from_left ? &half : list);

        tk_list_remove(node);
        tk_list_push(&merged, node);
        left -= from_left;
        right -= !from_left;
    }
    tk_list_splice(list, &merged);
}

static void shuffle_round(struct tk_runq *queue)
{
    for (size_t i = 0; i < queue->size; i++) {
        struct tk_list *tasks = &queue->buckets[i]->tasks[queue->phase];
        size_t count = 0;

        for (struct tk_list *n = tasks->next; n != tasks; n = n->next) {
            count++;
        }
        shuffle(tasks, count, &queue->random);
    }
}

bool tk_runq_turn(struct tk_runq *queue)
{
    if (queue->count[queue->phase] == 0) {
        if (queue->size > MANY) {
            prune(queue);
        }
        queue->phase ^= 1u;
        queue->cursor = 0;
        if (queue->shuffles) {
            shuffle_round(queue);
        }
    }
    return queue->count[queue->phase] > 0;
}

static void move_to_end(struct tk_runq *queue, struct tk_bucket *bucket, struct tk_task *task)
{
    unsigned next = queue->phase ^ 1u;

    tk_runq_remove(queue, task);
    tk_list_push(&bucket->tasks[next], &task->node);
    task->phase = next & 1u;
    queue->count[next]++;
}

void tk_runq_rotate(struct tk_runq *queue, struct tk_task *task)
{
    struct tk_bucket *bucket = bucket_of(queue, task->priority);

    for (unsigned i = 0; i < 2; i++) {
        struct tk_list *tasks = &bucket->tasks[queue->phase ^ i], *node;
        struct tk_list *last = tasks->prev;

        while ((node = tk_list_first(tasks)) != NULL && node != &task->node) {
            move_to_end(queue, bucket, tk_container_of(node, struct tk_task, node));
            if (node == last) {
                break;
            }
        }
        if (node == &task->node) {
            return;
        }
    }
}

static struct tk_task *at(const struct tk_list *tasks, bool first)
{
    const struct tk_list *node = first ? tasks->next : tasks->prev;

    return node == tasks ? NULL : tk_container_of(node, struct tk_task, node);
}

/* Lists are numbered in the order in which they run: this round's buckets, then the next one's. */
static const struct tk_list *list_at(const struct tk_runq *queue, size_t number)
{
    unsigned phase = number < queue->size ? queue->phase : queue->phase ^ 1u;

    return &queue->buckets[number % queue->size]->tasks[phase];
}

static size_t number_of(const struct tk_runq *queue, const struct tk_task *task)
{
    size_t place = search(queue, task->priority);

    /* Without memory for a bucket it went with the normal ones. */
    if (place == queue->size || queue->buckets[place]->priority != task->priority) {
        place = search(queue, 0);
    }
    return task->phase == queue->phase ? place : place + queue->size;
}

struct tk_task *tk_runq_after(const struct tk_runq *queue, const struct tk_task *task)
{
    size_t number = 0;

    if (task != NULL) {
        number = number_of(queue, task);
        if (task->node.next != list_at(queue, number)) {
            return tk_container_of(task->node.next, struct tk_task, node);
        }
        number++;
    }
    for (; number < 2 * queue->size; number++) {
        struct tk_task *found = at(list_at(queue, number), true);

        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}

struct tk_task *tk_runq_before(const struct tk_runq *queue, const struct tk_task *task)
{
    size_t number = 2 * queue->size;

    if (task != NULL) {
        number = number_of(queue, task);
        if (task->node.prev != list_at(queue, number)) {
            return tk_container_of(task->node.prev, struct tk_task, node);
        }
    }
    while (number-- > 0) {
        struct tk_task *found = at(list_at(queue, number), false);

        if (found != NULL) {
            return found;
        }
    }
    return NULL;
}
