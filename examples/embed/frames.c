/*
 * frames.c - a host in a loop of frames, as games have it: sixty times a second the world moves on
 * and the host has its turns, which never wait. Scripts live in the game's time: the clock is a
 * virtual one, which a daemon keeps in step by sleeping a frame at a time. In front of a screen the
 * loop would wait for the next picture; here it runs as fast as it can, and what it prints is the
 * same every time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <tasklet.h>

static const char clock_script[] = "frame = 0\n"
                                   "while true do\n"
                                   "    frame = frame + 1\n"
                                   "    require 'tasklet'.sleep(1 / 60)\n"
                                   "end\n";

static const char guard_script[] = "local tasklet = require 'tasklet'\n"
                                   "for _, place in ipairs{'gate', 'yard', 'tower'} do\n"
                                   "    print(frame, 'the guard is at the ' .. place)\n"
                                   "    tasklet.sleep(0.8)\n"
                                   "end\n"
                                   "print(frame, 'the guard goes home')\n";

static const char door_script[] = "local tasklet = require 'tasklet'\n"
                                  "local message = tasklet.current().mailbox:popleft()\n"
                                  "print(frame, 'the door opens for ' .. message.value)\n"
                                  "tasklet.sleep(0.5)\n"
                                  "print(frame, 'the door closes')\n";

static struct tasklet_host *host;

static struct tasklet *start(const char *name, const char *script, int daemon)
{
    struct tasklet_start_options options;
    struct tasklet_value function;
    struct tasklet *t;

    tasklet_start_options_init(&options);
    options.name = name;
    options.daemon = daemon;
    if (tasklet_load_string(host, script, name, &function) < 0 ||
        tasklet_start(host, &options, &function, NULL, 0, &t) < 0) {
        fprintf(stderr, "frames: %s\n", tasklet_host_error(host));
        exit(1);
    }
    tasklet_release(host, &function);
    return t;
}

/* The frame that scripts live in; 0: the first is yet to come. */
static long long frame_now(void)
{
    struct tasklet_value value;

    return tasklet_global_get(host, "frame", &value) == 0 ? value.as.integer : 0;
}

/* What happens in the world, and how a script hears of it. */
static void move_world(struct tasklet *door, long long frame)
{
    struct tasklet_value who = tasklet_string("the hero");

    if (frame == 40) tasklet_send(door, "open", &who);
}

int main(void)
{
    struct tasklet_options options;
    struct tasklet *door;
    int more = 1;

    tasklet_options_init(&options);
    options.virtual_time = 1;
    if (tasklet_host_new(&options, &host) < 0) return 1;
    tasklet_drop(start("clock", clock_script, 1));
    tasklet_drop(start("guard", guard_script, 0));
    door = start("door", door_script, 0);
    while (more > 0) {
        long long frame = frame_now();

        move_world(door, frame);
        do {
            more = tasklet_host_turn(host, 0);
        } while (more > 0 && frame_now() == frame);
        /* and here the picture is drawn */
    }
    printf("%lld frames, status %d\n", frame_now(), tasklet_host_status(host));
    tasklet_drop(door);
    tasklet_host_free(host);
    return 0;
}
