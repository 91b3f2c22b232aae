package v1alpha1

// ObjectName is the name of an object in the same namespace.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule="self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",message="use the name of an object: lower-case letters, digits, '-' and '.', with a letter or digit at both ends"
type ObjectName string

// TopicRef names a Topic in the same namespace.
type TopicRef struct {
	// Name of the Topic (metadata.name, not the topic's name in Kafka).
	Name ObjectName `json:"name"`
}

// SecretRef names a Secret in the same namespace.
type SecretRef struct {
	// Name of the Secret.
	Name ObjectName `json:"name"`
}

// ConfigMapRef names a ConfigMap in the same namespace.
type ConfigMapRef struct {
	// Name of the ConfigMap.
	Name ObjectName `json:"name"`
}

// HostPort is an address such as "kafka-0.kafka:9092" or "[fd00::1]:9092".
//
// +kubebuilder:validation:MaxLength=261
// +kubebuilder:validation:XValidation:rule="self.matches('^([^:/@ ]+|[\\\\[][0-9a-fA-F:.]+[\\\\]]):[0-9]{1,5}$')",message="write host:port, such as kafka-0.kafka:9092"
type HostPort string

// KafkaSpec says how to reach a Kafka cluster.
type KafkaSpec struct {
	// BootstrapServers are host:port addresses of brokers; one that answers is enough.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +listType=set
	BootstrapServers []HostPort `json:"bootstrapServers"`

	// TLS encrypts the connections when it is set; an empty object trusts the system's authorities.
	//
	// +optional
	TLS *KafkaTLS `json:"tls,omitempty"`

	// SASL authenticates to the brokers when it is set.
	//
	// +optional
	SASL *KafkaSASL `json:"sasl,omitempty"`
}

// KafkaTLS says whom to trust, and who we are. Secrets are read again when they change.
type KafkaTLS struct {
	// CASecretRef names a Secret whose key ca.crt holds the authorities to trust, in PEM. Default: the system's.
	//
	// +optional
	CASecretRef *SecretRef `json:"caSecretRef,omitempty"`

	// ClientCertSecretRef names a Secret of type kubernetes.io/tls with our certificate (tls.crt) and key (tls.key).
	//
	// +optional
	ClientCertSecretRef *SecretRef `json:"clientCertSecretRef,omitempty"`

	// InsecureSkipVerify turns the check of the broker's certificate off. Never use it in production.
	//
	// +optional
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`
}

// SASLMechanism names a SASL mechanism.
//
// +kubebuilder:validation:Enum=Plain;ScramSha256;ScramSha512
type SASLMechanism string

// The SASL mechanisms.
const (
	SASLPlain       SASLMechanism = "Plain"
	SASLScramSHA256 SASLMechanism = "ScramSha256"
	SASLScramSHA512 SASLMechanism = "ScramSha512"
)

// KafkaSASL says how to authenticate.
type KafkaSASL struct {
	// Mechanism: Plain, ScramSha256 or ScramSha512.
	Mechanism SASLMechanism `json:"mechanism"`

	// SecretRef names a Secret of type kubernetes.io/basic-auth with username and password. It is read again when it
	// changes.
	SecretRef SecretRef `json:"secretRef"`
}

// ManagementState says whether the manager keeps what a resource stands for as its spec says.
//
// +kubebuilder:validation:Enum=Managed;Unmanaged
type ManagementState string

// The management states.
const (
	Managed   ManagementState = "Managed"
	Unmanaged ManagementState = "Unmanaged"
)

// PausedAnnotation pauses a resource while its value is "true": the manager goes on to show its status and changes
// nothing, as with managementState Unmanaged.
const PausedAnnotation = "logpipe.dev/paused"
