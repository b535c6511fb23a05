using System.Collections.ObjectModel;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Huzhu.Audit.Reading;

/// <summary>
/// Reads the records of a log as the serializer does, at a fraction of its price: that puts every argument of a constructor
/// into a box and all of them into an array, asks a dictionary for each name, and makes each word anew. Names, defaults and
/// converters are still the serializer's own.
/// </summary>
/// <remarks>Only reads, and says less of where it failed: for that, and for the last word on what can be read, ask the serializer.</remarks>
internal sealed class RecordReader : JsonConverterFactory
{
    private readonly JsonSerializerOptions _serializer;

    private RecordReader(JsonSerializerOptions serializer) => _serializer = serializer;

    /// <returns>The same rules, for reading alone.</returns>
    public static JsonSerializerOptions For(JsonSerializerOptions serializer)
    {
        serializer.MakeReadOnly(populateMissingResolver: true);
        return new(serializer) { Converters = { new WordReader(), new RecordReader(serializer) } };
    }

    public override bool CanConvert(Type type) => ReaderOf(type) is not null;

    public override JsonConverter CreateConverter(Type type, JsonSerializerOptions options) => (JsonConverter)(ReaderOf(type) == typeof(RecordReader<>)
        ? Activator.CreateInstance(typeof(RecordReader<>).MakeGenericType(type), _serializer.GetTypeInfo(type), options)
        : Activator.CreateInstance(ReaderOf(type)!.MakeGenericType(type.GetGenericArguments()[^1]), options))!;

    private Type? ReaderOf(Type type)
    {
        if (type.IsGenericType)
        {
            return type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) ? typeof(ListReader<>)
                : type.GetGenericTypeDefinition() == typeof(IReadOnlyDictionary<,>) && type.GetGenericArguments()[0] == typeof(string) ? typeof(DictionaryReader<>)
                : null;
        }
        // Everything that the constructor takes must be there to be set.
        return CopyOf(type) is not null && !type.IsAbstract && type.GetConstructors() is [var constructor]
            && _serializer.GetTypeInfo(type) is { Kind: JsonTypeInfoKind.Object, PolymorphismOptions: null } known
            && known.Properties.Count(property => property.AssociatedParameter is not null && SetterOf(property) is not null) == constructor.GetParameters().Length
            ? typeof(RecordReader<>) : null;
    }

    /// <summary>What the compiler gives every record for <c>with</c>, and nothing else.</summary>
    internal static MethodInfo? CopyOf(Type type) => type.GetMethod("<Clone>$");

    /// <returns>Null for what is not read.</returns>
    internal static MethodInfo? SetterOf(JsonPropertyInfo property) =>
        property.Set is not null || property.AssociatedParameter is not null ? (property.AttributeProvider as PropertyInfo)?.GetSetMethod() : null;
}

/// <summary>A copy of a record in which nothing was said, and what is said set in it.</summary>
internal sealed class RecordReader<T> : JsonConverter<T> where T : class
{
    private readonly Func<T, T> _copy;
    private readonly T _unsaid;
    private readonly Field[] _fields;

    public RecordReader(JsonTypeInfo type, JsonSerializerOptions options)
    {
        _copy = RecordReader.CopyOf(typeof(T))!.CreateDelegate<Func<T, T>>();
        var constructor = typeof(T).GetConstructors().Single();
        _unsaid = (T)constructor.Invoke([.. constructor.GetParameters().Select(parameter => parameter.HasDefaultValue ? parameter.DefaultValue : null)]);
        // jsonb keeps the names of an object in this order, so that the one that comes next is nearly always the one expected.
        _fields = [.. type.Properties.Where(property => RecordReader.SetterOf(property) is not null).Select(property => Field.Of(property, options))
            .OrderBy(field => field.Name.Length).ThenBy(field => Convert.ToHexString(field.Name), StringComparer.Ordinal)];
    }

    public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType is not JsonTokenType.StartObject)
            throw new JsonException();
        var (record, expected) = (_copy(_unsaid), 0);
        while (reader.Read() && reader.TokenType is JsonTokenType.PropertyName)
        {
            var index = IndexOf(ref reader, expected);
            reader.Read();
            if (index < 0)
            {
                reader.Skip();
                continue;
            }
            _fields[index].Read(ref reader, record, options);
            expected = index + 1;
        }
        return record;
    }

    public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) => throw new NotSupportedException();

    private int IndexOf(ref Utf8JsonReader name, int expected)
    {
        for (var index = expected; index < _fields.Length; index++)
        {
            if (name.ValueTextEquals(_fields[index].Name))
                return index;
        }
        for (var index = 0; index < expected; index++)
        {
            if (name.ValueTextEquals(_fields[index].Name))
                return index;
        }
        return -1;
    }

    private abstract class Field(string name)
    {
        public byte[] Name { get; } = System.Text.Encoding.UTF8.GetBytes(name);

        public abstract void Read(ref Utf8JsonReader reader, T record, JsonSerializerOptions options);

        public static Field Of(JsonPropertyInfo property, JsonSerializerOptions options) => (Field)Activator.CreateInstance(
            typeof(Field<>).MakeGenericType(typeof(T), property.PropertyType), property, property.CustomConverter ?? options.GetConverter(property.PropertyType))!;
    }

    private sealed class Field<TValue>(JsonPropertyInfo property, JsonConverter converter) : Field(property.Name)
    {
        private readonly Element<TValue> _value = new(converter);
        private readonly Action<T, TValue> _set = RecordReader.SetterOf(property)!.CreateDelegate<Action<T, TValue>>();

        public override void Read(ref Utf8JsonReader reader, T record, JsonSerializerOptions options) => _set(record, _value.Read(ref reader, options));
    }
}

/// <summary>Most lists of an event are empty or have one entry, and many live as long as what the event is folded into.</summary>
internal sealed class ListReader<T>(JsonSerializerOptions options) : JsonConverter<IReadOnlyList<T>>
{
    private readonly Element<T> _element = new(options);

    public override IReadOnlyList<T> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType is not JsonTokenType.StartArray)
            throw new JsonException();
        reader.Read();
        if (reader.TokenType is JsonTokenType.EndArray)
            return [];
        var first = _element.Read(ref reader, options);
        reader.Read();
        if (reader.TokenType is JsonTokenType.EndArray)
            return [first];
        var all = new List<T> { first };
        for (; reader.TokenType is not JsonTokenType.EndArray; reader.Read())
            all.Add(_element.Read(ref reader, options));
        return all.ToArray();
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyList<T> value, JsonSerializerOptions options) => throw new NotSupportedException();
}

internal sealed class DictionaryReader<T>(JsonSerializerOptions options) : JsonConverter<IReadOnlyDictionary<string, T>>
{
    private readonly Element<T> _element = new(options);

    public override IReadOnlyDictionary<string, T> Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        if (reader.TokenType is not JsonTokenType.StartObject)
            throw new JsonException();
        reader.Read();
        if (reader.TokenType is JsonTokenType.EndObject)
            return ReadOnlyDictionary<string, T>.Empty;
        var all = new Dictionary<string, T>();
        for (; reader.TokenType is JsonTokenType.PropertyName; reader.Read())
        {
            var name = reader.GetString()!;
            reader.Read();
            all[name] = _element.Read(ref reader, options);
        }
        return all;
    }

    public override void Write(Utf8JsonWriter writer, IReadOnlyDictionary<string, T> value, JsonSerializerOptions options) => throw new NotSupportedException();
}

/// <summary>A value inside another: null where there can be none goes to its converter, which refuses it.</summary>
internal sealed class Element<T>(JsonConverter converter)
{
    private readonly JsonConverter<T> _converter = (JsonConverter<T>)converter;
    private readonly bool _readsNull = default(T) is not null || converter is JsonConverter<T> { HandleNull: true };

    public Element(JsonSerializerOptions options) : this(options.GetConverter(typeof(T)))
    {
    }

    public T Read(ref Utf8JsonReader reader, JsonSerializerOptions options) =>
        reader.TokenType is JsonTokenType.Null && !_readsNull ? default! : _converter.Read(ref reader, typeof(T), options)!;
}

internal sealed class WordReader : JsonConverter<string>
{
    public override string? Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
        (reader.TokenType is JsonTokenType.String && !reader.ValueIsEscaped ? Word.Of(reader.ValueSpan) : null) ?? reader.GetString();

    public override void Write(Utf8JsonWriter writer, string value, JsonSerializerOptions options) => throw new NotSupportedException();
}
