package manifest

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structural "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apimachinery "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"

	"github.com/logpipe/logpipe/config/crd"
)

// schema holds the rules that the API server has for one kind.
type schema struct {
	fields  *structural.Structural
	types   validation.SchemaValidator
	rules   *cel.Validator
	version string
}

// schemas compiles the rules of all kinds, once.
var schemas = sync.OnceValues(loadSchemas)

func loadSchemas() (map[string]*schema, error) {
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		return nil, fmt.Errorf("list definitions: %w", err)
	}
	out := map[string]*schema{}
	for _, name := range names {
		data, err := crd.Files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read definition: %w", err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(data, definition); err != nil {
			return nil, fmt.Errorf("parse definition %s: %w", name, err)
		}
		for _, version := range definition.Spec.Versions {
			if !version.Storage {
				continue
			}
			s, err := compile(version.Schema.OpenAPIV3Schema)
			if err != nil {
				return nil, fmt.Errorf("compile definition %s: %w", name, err)
			}
			s.version = definition.Spec.Group + "/" + version.Name
			out[definition.Spec.Names.Kind] = s
		}
	}
	return out, nil
}

func compile(versioned *apiextensionsv1.JSONSchemaProps) (*schema, error) {
	props := &apiextensions.JSONSchemaProps{}
	err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(versioned, props, nil)
	if err != nil {
		return nil, err
	}
	fields, err := structural.NewStructural(props)
	if err != nil {
		return nil, err
	}
	types, _, err := validation.NewSchemaValidator(props)
	if err != nil {
		return nil, err
	}
	return &schema{fields: fields, types: types, rules: cel.NewValidator(fields, true, celconfig.PerCallLimit)}, nil
}

// check fills in the defaults of a document and returns what the API server would refuse, unknown fields included.
func (s *schema) check(ctx context.Context, d *document) []Problem {
	var problems []Problem
	_, unknownMeta := objectmeta.CoerceWithOptions(nil, d.object, s.fields, true,
		objectmeta.CoerceOptions{ReturnUnknownFieldPaths: true})
	unknown := pruning.PruneWithOptions(d.object, s.fields, true,
		structural.UnknownFieldPathOptions{TrackUnknownFieldPaths: true})
	for _, path := range append(unknownMeta, unknown...) {
		problems = append(problems, d.problem(path, s.unknownField(path)))
	}
	defaulting.PruneNonNullableNullsWithoutDefaults(d.object, s.fields)
	defaulting.Default(d.object, s.fields)

	errs := validation.ValidateCustomResource(nil, d.object, s.types)
	errs = append(errs, validateName(d)...)
	errs = append(errs, objectmeta.Validate(ctx, nil, d.object, s.fields, true)...)
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, s.fields, d.object)...)
	if s.rules != nil && !slices.ContainsFunc(errs, blocking) {
		broken, _ := s.rules.Validate(ctx, nil, s.fields, d.object, nil, celconfig.RuntimeCELCostBudget)
		errs = append(errs, broken...)
	}
	for _, err := range errs {
		problems = append(problems, d.problem(err.Field, s.explain(d, err)))
	}
	return problems
}

// blocking errors keep the API server from evaluating rules, which could not be trusted then.
func blocking(err *field.Error) bool {
	switch err.Type {
	case field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid,
		field.ErrorTypeNotSupported:
		return true
	}
	return false
}

func validateName(d *document) field.ErrorList {
	path := field.NewPath("metadata", "name")
	if d.name() == "" {
		return field.ErrorList{field.Required(path, "give the object a name")}
	}
	if len(apimachinery.NameIsDNSSubdomain(d.name(), false)) > 0 {
		return field.ErrorList{field.Invalid(path, d.name(), "use at most 253 lower-case letters, digits, '-' and '.', "+
			"with a letter or digit at both ends and around each '.'")}
	}
	return nil
}

// explain words an error of the API server so that it says what to do.
func (s *schema) explain(d *document, err *field.Error) string {
	detail := strings.TrimPrefix(err.Detail, err.Field+" in body ")
	value := valueAt(d.object, err.Field)
	switch err.Type {
	case field.ErrorTypeRequired:
		return strings.TrimSuffix("Required value: "+cmp.Or(detail, s.describe(err.Field)), ": ")
	case field.ErrorTypeTypeInvalid:
		detail, _, _ = strings.Cut(detail, ": ")
		switch {
		case strings.HasSuffix(detail, "of type string") && value != nil:
			detail += ": write it in quotes"
		case strings.HasSuffix(detail, "of type array"):
			detail += ": write a list"
		}
		return fmt.Sprintf("Invalid value: %s: %s", render(value), detail)
	case field.ErrorTypeInvalid:
		return fmt.Sprintf("Invalid value: %s: %s", render(value), detail)
	default:
		return err.ErrorBody()
	}
}

// metaFields are the fields of metadata that people write; definitions do not list them.
var metaFields = []string{"annotations", "labels", "name", "namespace"}

// unknownField says which field was probably meant.
func (s *schema) unknownField(path string) string {
	parent, name := parentOf(path)
	siblings := metaFields
	if around := s.at(parent); around != nil && parent != "metadata" {
		siblings = slices.Sorted(maps.Keys(around.Properties))
	}
	if near := nearest(name, siblings); near != "" {
		return fmt.Sprintf("unknown field: did you mean %s?", near)
	}
	if elsewhere := find(s.fields, "", name); elsewhere != "" {
		return fmt.Sprintf("unknown field: did you mean %s?", elsewhere)
	}
	return "unknown field: use " + strings.Join(siblings, ", ")
}

// describe returns the first sentence of a field's description.
func (s *schema) describe(path string) string {
	found := s.at(path)
	if found == nil {
		return ""
	}
	text, _, _ := strings.Cut(found.Description, "\n\n")
	text = strings.Join(strings.Fields(text), " ")
	if sentence, _, more := strings.Cut(text, ". "); more {
		return sentence
	}
	return strings.TrimSuffix(text, ".")
}

// at returns the schema of a field.
func (s *schema) at(path string) *structural.Structural {
	current := s.fields
	for path != "" {
		switch {
		case current.Items != nil:
			end := strings.IndexByte(path, ']')
			if end < 0 {
				return nil
			}
			current, path = current.Items, path[end+1:]
		case current.AdditionalProperties != nil:
			return current.AdditionalProperties.Structural
		default:
			path = strings.TrimPrefix(path, ".")
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			next, ok := current.Properties[path[:end]]
			if !ok {
				return nil
			}
			current, path = &next, path[end:]
		}
	}
	return current
}

func parentOf(path string) (parent, name string) {
	dot := strings.LastIndexByte(path, '.')
	if dot < 0 {
		return "", path
	}
	return path[:dot], path[dot+1:]
}

// find returns the path of the one field below s.spec that is called name; there may be none, or several.
func find(s *structural.Structural, path, name string) string {
	var found []string
	var visit func(s *structural.Structural, path string)
	visit = func(s *structural.Structural, path string) {
		for key, child := range s.Properties {
			at := strings.TrimPrefix(path+"."+key, ".")
			if key == name && strings.HasPrefix(at, "spec.") {
				found = append(found, at)
			}
			visit(&child, at)
		}
		if s.Items != nil {
			visit(s.Items, path+"[]")
		}
	}
	visit(s, path)
	if len(found) != 1 {
		return ""
	}
	return found[0]
}
