import type { Closing } from './base/closing.js';
import { errorCode, errorMessage } from './base/errors.js';
import type { Log } from './base/log.js';
import type { Inbox } from './center/index.js';
import { commandHandlers, type HandlerOptions } from './command-handlers.js';
import type { JobMessage } from './contract/commands.js';
import type { OwnerDesk } from './owner-desk.js';
import { CommandDesk } from './policy/command-desk.js';
import type { Gate } from './policy/gate.js';

export interface CommandsOptions extends HandlerOptions {
  log: Log;
  closing: Closing;
  gate: Gate;
  owner: OwnerDesk;
}

const JOBS_TOLD = 500;

/** What the center asks for: its messages to the desk, the desk's answers back to the center. */
export class Commands {
  readonly inbox: Inbox;
  readonly #desk: CommandDesk;
  readonly #wake: () => void;
  readonly #kept: (work: Promise<unknown>) => void;

  constructor(o: CommandsOptions) {
    const { clock, log, store, gate, owner, outside } = o;
    const { handlers, clipJobs } = commandHandlers(o);
    const desk = new CommandDesk({
      tables: store,
      gate,
      asks: owner.asks,
      clock,
      log,
      bound: () => outside.bound(),
      handlers,
      publish: (message) => outside.reportJob(message),
    });
    this.#desk = desk;
    this.#wake = () => clipJobs.wake();
    this.#kept = (work) => {
      work.catch((error: unknown) => log.error({ code: errorCode(error) }, errorMessage(error)));
    };
    // Retained, so both come with each connection: whoever is enrolled with it commands after it.
    let enrolled: Promise<void> = Promise.resolve();
    this.inbox = {
      operators: (text) => this.#kept((enrolled = desk.takeOperators(text))),
      command: (text) => this.#kept(enrolled.catch(() => undefined).then(() => desk.take(text))),
      proposal: (text) => this.#kept(owner.takeProposal(text)),
    };
    o.closing.add('commands of the center', () => desk.close());
  }

  /** Takes up what the last stop interrupted; goes on in the background. */
  start(): void {
    this.#kept(this.#desk.resume());
  }

  recent(): Promise<JobMessage[]> {
    return this.#desk.recent(JOBS_TOLD);
  }

  /** A clip is in a new state, or further on its way. */
  clipChanged(): void {
    this.#wake();
  }

  /** The owner answered; what it sets going takes its own time. */
  answered(approval: Parameters<CommandDesk['answered']>[0]): Promise<void> {
    return this.#desk.answered(approval);
  }

  endAll(code: string, why: string): Promise<void> {
    return this.#desk.endAll(code, why);
  }
}
