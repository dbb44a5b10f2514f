"use strict";
const links = { toRun: (run) => run.name };
