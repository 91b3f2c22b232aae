// Package crd holds the CustomResourceDefinitions of logpipe, generated from api/v1alpha1.
package crd

import "embed"

// Files are the CustomResourceDefinitions, one YAML file each.
//
//go:embed logpipe.dev_*.yaml
var Files embed.FS
