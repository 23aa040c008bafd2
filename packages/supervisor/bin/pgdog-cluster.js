#!/usr/bin/env node
// Kept apart from dist/ so that the package manager can link the command before the first build.
import '../dist/main.js';
