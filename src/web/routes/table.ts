import { zoneRoutes } from './zones.js';
import type { Route } from '../route.js';
import { alarmRoutes } from './alarms.js';
import { auditRoutes } from './audit.js';
import { backupRoutes } from './backup.js';
import { boxRoutes } from './box.js';
import { cameraRoutes } from './cameras.js';
import { clipRoutes } from './clips.js';
import { footageRoutes } from './footage.js';
import { holdRoutes } from './holds.js';
import { identityRoutes } from './identity.js';
import { loginRoutes } from './logins.js';
import { ownerRoutes } from './owner.js';
import { ringRoutes } from './ring.js';
import { sessionRoutes } from './session.js';
import { stillRoutes } from './still.js';

/** Every route of `/api/v1`, as data: tests read from it who may do what, and the API description is made of it. */
export const ROUTES: readonly Route[] = [
  ...sessionRoutes,
  ...boxRoutes,
  ...cameraRoutes,
  ...alarmRoutes,
  ...zoneRoutes,
  ...footageRoutes,
  ...ringRoutes,
  ...stillRoutes,
  ...clipRoutes,
  ...holdRoutes,
  ...identityRoutes,
  ...loginRoutes,
  ...ownerRoutes,
  ...auditRoutes,
  ...backupRoutes,
];
