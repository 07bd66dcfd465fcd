import { keepHeapsSmall } from '../base/heap.js';
import { once } from 'node:events';
import type { Command } from 'commander';
import { action } from './context.js';
import { line } from './output.js';

export function addRunCommand(program: Command): void {
  program
    .command('run')
    .description('run the agent in the foreground until SIGTERM')
    .action(
      action(async (context) => {
        keepHeapsSmall();
        const { startAgent } = await import('../main.js');
        const agent = await startAgent({
          settings: context.settings(),
          clock: context.clock,
          processes: context.processes,
        });
        const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')]).then(() => undefined);
        const ready = { page: agent.page, socket: agent.socket, loginCode: agent.loginCode };
        // One line in JSON: programs that start the agent read it to know that it is ready.
        if (context.json) process.stdout.write(JSON.stringify(ready) + '\n');
        else {
          line(`page     ${agent.page}`);
          if (agent.loginCode !== undefined)
            line(`login    ${agent.loginCode}   (shown this once; it opens the page for a technician)`);
        }
        const failure = await Promise.race([stopped, agent.failed]);
        const hung = await agent.stop();
        // Node joins its threads at the exit: one that hangs in a call of the system would keep the process for ever.
        if (hung.length > 0) process.kill(process.pid, 'SIGKILL');
        // Not as if all were well: whoever supervises the agent must start it anew.
        if (failure !== undefined) throw failure;
      }),
    );
}
