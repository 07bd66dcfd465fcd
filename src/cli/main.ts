#!/usr/bin/env node
import { Command } from 'commander';
import { addAuditCommands } from './audit.js';
import { addBackupCommands } from './backup.js';
import { addCameraCommands } from './camera.js';
import { addClaimCommand } from './claim.js';
import { addClipCommands } from './clip.js';
import { addCoverageCommand } from './coverage.js';
import { addHoldCommands } from './hold.js';
import { addLoginCommands } from './login.js';
import { addMotionCommand } from './motion.js';
import { addPolicyCommands } from './policy.js';
import { addRingCommands } from './ring.js';
import { addRunCommand } from './run.js';
import { addSettingsCommand } from './settings.js';
import { addSimCommands } from './sim.js';
import { addStatusCommand } from './status.js';
import { addStillCommand } from './still.js';
import { addVerifyCommand } from './verify.js';
import { addZonesCommands } from './zones.js';
import { VERSION } from '../version.js';
import { DEFAULT_CONFIG, EXIT } from './context.js';

const program = new Command('bluelight')
  .description('Edge agent for camera sites: records, detects motion, reports and uploads, on the owner’s terms.')
  .version(VERSION)
  .option('--config <file>', 'configuration file', process.env['BLUELIGHT_CONFIG'] ?? DEFAULT_CONFIG)
  .option('--socket <path>', 'socket of the running agent (default: in the state directory of the configuration)')
  .option('--json', 'print JSON')
  .configureHelp({ showGlobalOptions: true })
  .showHelpAfterError()
  .exitOverride((error) => {
    process.exit(error.exitCode === 0 ? EXIT.ok : EXIT.usage);
  });

for (const add of [
  addRunCommand,
  addStatusCommand,
  addClaimCommand,
  addCameraCommands,
  addCoverageCommand,
  addRingCommands,
  addClipCommands,
  addHoldCommands,
  addStillCommand,
  addVerifyCommand,
  addMotionCommand,
  addZonesCommands,
  addPolicyCommands,
  addAuditCommands,
  addBackupCommands,
  addLoginCommands,
  addSettingsCommand,
  addSimCommands,
]) {
  add(program);
}
await program.parseAsync();
